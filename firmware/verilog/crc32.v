// CRC-32/ISO-HDLC (the CRC of Ethernet and zlib), one bit per clock, before its final inversion.
//
// After a message and its own CRC (least significant byte first) the register holds RESIDUE.
module crc32 (
    input  wire        clk,
    input  wire        clear,       // start a new message
    input  wire        valid,       // take `data`; not while `busy`
    input  wire [7:0]  data,
    output wire        busy,        // for 8 clocks after `valid`
    output wire        good,        // the register holds RESIDUE
    output reg  [31:0] state
);
    localparam POLYNOMIAL = 32'hedb88320;   // 0x04c11db7, reflected
    localparam RESIDUE = 32'hdebb20e3;

    reg [7:0] shift = 0;
    reg [3:0] left = 0;

    assign busy = left != 0;
    assign good = state == RESIDUE;

    initial state = 32'hffffffff;

    always @(posedge clk) begin
        if (valid) begin
            shift <= data;
            left <= 4'd8;
        end else if (busy) begin
            state <= {1'b0, state[31:1]} ^ (state[0] ^ shift[0] ? POLYNOMIAL : 32'h0);
            shift <= {1'b0, shift[7:1]};
            left <= left - 1'b1;
        end
        if (clear) begin
            state <= 32'hffffffff;
            left <= 0;
        end
    end
endmodule
