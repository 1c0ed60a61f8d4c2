// UART receiver, 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// A byte whose stop bit is low (a wrong baud rate, a break) raises `error` instead of `valid`, and nothing is
// received until the line is idle again.
module uart_receiver #(
    parameter CLOCKS_PER_BIT = 8    // at least 4
) (
    input  wire       clk,
    input  wire       reset,
    input  wire       rx,
    output reg        valid,        // one clock: `data` holds a byte
    output reg        error,        // one clock: framing error
    output reg  [7:0] data
);
    localparam IDLE = 3'd0, START = 3'd1, DATA = 3'd2, STOP = 3'd3, BREAK = 3'd4;
    localparam WIDTH = $clog2(CLOCKS_PER_BIT), LAST = CLOCKS_PER_BIT - 1, MIDDLE = CLOCKS_PER_BIT / 2 - 1;

    reg [1:0]       synchronised = 2'b11;
    reg [2:0]       state = IDLE;
    reg [2:0]       index = 0;
    reg [WIDTH-1:0] count = 0;

    wire line = synchronised[1];
    wire tick = count == 0;

    initial begin valid = 0; error = 0; data = 0; end

    always @(posedge clk) begin
        synchronised <= {synchronised[0], rx};
        valid <= 0;
        error <= 0;
        count <= tick ? LAST[WIDTH-1:0] : count - 1'b1;
        case (state)
            IDLE: begin
                count <= MIDDLE[WIDTH-1:0];         // to the middle of the start bit
                index <= 0;
                if (!line) state <= START;
            end
            START: if (tick) state <= line ? IDLE : DATA;    // a glitch is no start bit
            DATA: if (tick) begin
                data <= {line, data[7:1]};
                index <= index + 1'b1;
                if (index == 3'd7) state <= STOP;
            end
            STOP: if (tick) begin
                valid <= line;
                error <= !line;
                state <= line ? IDLE : BREAK;
            end
            default: if (line) state <= IDLE;
        endcase
        if (reset) begin
            state <= BREAK;
            valid <= 0;
            error <= 0;
        end
    end
endmodule
