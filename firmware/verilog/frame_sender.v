// Answers to the host: appends the CRC, applies COBS and sends the frame over the UART (PROTOCOL.md).
//
// The owner shows one payload byte at a time: `index` asks for it, `payload` and `length` answer at once.
module frame_sender #(
    parameter CLOCKS_PER_BIT = 8,
    parameter DEEP = 0              // 1: payloads of up to 59 bytes, else of up to 28
) (
    input  wire       clk,
    input  wire       reset,
    input  wire       start,        // send a frame; taken in a clock where `ready` is high too
    input  wire [5:0] length,       // payload bytes, CRC not counted; stable until `ready`
    input  wire [7:0] payload,      // byte number `index`
    output wire [5:0] index,
    output wire       ready,
    output wire       tx
);
    localparam IDLE = 3'd0, COMPOSE = 3'd1, CHECK = 3'd2, FETCH = 3'd3, SCAN = 3'd4, CODE = 3'd5, LITERAL = 3'd6,
               DELIMITER = 3'd7;

    localparam PLACE_BITS = DEEP ? 6 : 5;
    reg [7:0] memory [0:(1 << PLACE_BITS)-1];   // payload and CRC
    reg [7:0] read = 0;             // memory[address] of the clock before
    reg [2:0] state = IDLE;
    reg [5:0] address = 0;
    reg [5:0] first = 0;            // of the COBS group: its first byte, and one after its last
    reg [5:0] last = 0;
    reg       settled = 0;          // `read` holds memory[address]

    wire [31:0] crc;
    wire        crc_busy, uart_ready;
    wire        composing = state == COMPOSE && !crc_busy;
    wire        checking = state == CHECK && !crc_busy;
    wire [5:0]  total = length + 6'd4;
    wire [1:0]  check = address[1:0] - length[1:0];     // which byte of the CRC
    wire [7:0]  inverted = ~crc[{check, 3'b000} +: 8];

    assign ready = state == IDLE;
    assign index = address;

    crc32 generator (
        .clk(clk), .clear(ready), .valid(composing), .data(payload), .busy(crc_busy), .good(), .state(crc)
    );

    wire uart_valid = state == CODE || (state == LITERAL && settled) || state == DELIMITER;
    wire [7:0] uart_data = state == CODE ? {2'b00, last - first + 6'd1} : state == LITERAL ? read : 8'h00;
    wire sent = uart_valid && uart_ready;
    uart_transmitter #(.CLOCKS_PER_BIT(CLOCKS_PER_BIT)) uart (
        .clk(clk), .reset(reset), .valid(uart_valid), .data(uart_data), .ready(uart_ready), .tx(tx)
    );

    always @(posedge clk) begin
        if (composing || checking) memory[address[PLACE_BITS-1:0]] <= composing ? payload : inverted;
        read <= memory[address[PLACE_BITS-1:0]];
        settled <= 1;
        case (state)
            IDLE: begin
                address <= 0;
                if (start) state <= COMPOSE;
            end
            COMPOSE: if (composing) begin
                address <= address + 1'b1;
                if (address + 6'd1 == length) state <= CHECK;
            end
            CHECK: if (checking) begin
                address <= address + 1'b1;
                if (address + 6'd1 == total) begin
                    address <= 0;
                    first <= 0;
                    state <= FETCH;
                end
            end
            FETCH: state <= SCAN;                       // `read` follows `address` one clock later
            SCAN: begin                                 // to the next zero, or to the end
                last <= address;
                if (address == total || read == 0) begin
                    address <= first;
                    settled <= 0;
                    state <= CODE;
                end else begin
                    address <= address + 1'b1;
                    state <= FETCH;
                end
            end
            CODE: if (sent) state <= first != last ? LITERAL : last == total ? DELIMITER : FETCH;
            LITERAL: if (sent) begin
                address <= address + 1'b1;
                settled <= 0;
                if (address + 6'd1 == last) state <= last == total ? DELIMITER : FETCH;
            end
            DELIMITER: if (sent) state <= IDLE;
        endcase
        // A new group begins after the zero that the old one stands for.
        if (sent && last != total && (state == CODE ? first == last : state == LITERAL && address + 6'd1 == last)) begin
            address <= last + 6'd1;
            first <= last + 6'd1;
        end
        if (reset) state <= IDLE;
    end
endmodule
