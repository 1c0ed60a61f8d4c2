// UART transmitter, 8 data bits, no parity, 1 stop bit, least significant bit first.
module uart_transmitter #(
    parameter CLOCKS_PER_BIT = 8    // at least 4
) (
    input  wire       clk,
    input  wire       reset,
    input  wire       valid,        // send `data`; taken in a clock where `ready` is high too
    input  wire [7:0] data,
    output wire       ready,
    output wire       tx
);
    localparam WIDTH = $clog2(CLOCKS_PER_BIT), LAST = CLOCKS_PER_BIT - 1;

    reg [9:0]       shift = 10'h3ff;    // stop bit, data, start bit; ones shift in, so the line idles high
    reg [3:0]       left = 0;
    reg [WIDTH-1:0] count = 0;

    assign tx = shift[0];
    assign ready = left == 0;

    always @(posedge clk) begin
        if (ready) begin
            count <= LAST[WIDTH-1:0];
            if (valid) begin
                shift <= {1'b1, data, 1'b0};
                left <= 4'd10;
            end
        end else if (count != 0) begin
            count <= count - 1'b1;
        end else begin
            count <= LAST[WIDTH-1:0];
            shift <= {1'b1, shift[9:1]};
            left <= left - 1'b1;
        end
        if (reset) begin
            shift <= 10'h3ff;
            left <= 0;
        end
    end
endmodule
