// The iCE40's block RAM, for simulating netlists: as Yosys models it, but that what narrow words leave out of a row
// is left out after the read, and not before it, so that Yosys sees a memory that is read by a clock.
module SB_RAM40_4K (
    output [15:0] RDATA,
    input RCLK, input RCLKE, input RE, input [10:0] RADDR,
    input WCLK, input WCLKE, input WE, input [10:0] WADDR, input [15:0] MASK, input [15:0] WDATA
);
    parameter WRITE_MODE = 0;            // a row is one word of 16 bits, 2 of 8, 4 of 4 or 8 of 2
    parameter READ_MODE = 0;
    parameter INIT_0 = 256'd0, INIT_1 = 256'd0, INIT_2 = 256'd0, INIT_3 = 256'd0;
    parameter INIT_4 = 256'd0, INIT_5 = 256'd0, INIT_6 = 256'd0, INIT_7 = 256'd0;
    parameter INIT_8 = 256'd0, INIT_9 = 256'd0, INIT_A = 256'd0, INIT_B = 256'd0;
    parameter INIT_C = 256'd0, INIT_D = 256'd0, INIT_E = 256'd0, INIT_F = 256'd0;
    localparam [4095:0] INIT = {INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8,
                                INIT_7, INIT_6, INIT_5, INIT_4, INIT_3, INIT_2, INIT_1, INIT_0};
    reg [15:0] rows [0:255];
    integer i;
    initial for (i = 0; i < 256; i = i + 1) rows[i] = INIT[16*i +: 16];

    // Bit i of a row belongs to word i % WORDS of it, and there to the pin in the middle of its WORDS bits.
    localparam READ_WORDS = 1 << READ_MODE, WRITE_WORDS = 1 << WRITE_MODE;
    localparam READ_PIN = READ_WORDS >> 1, WRITE_PIN = WRITE_WORDS >> 1;
    reg [15:0] row;
    reg [2:0] which;
    always @(posedge RCLK)
        if (RE && RCLKE) begin
            row <= rows[RADDR[7:0]];
            which <= RADDR[10:8];
        end
    wire [15:0] enables, data;
    genvar b;
    generate
        for (b = 0; b < 16; b = b + 1) begin : bits
            localparam GROUP = b / READ_WORDS, WRITTEN = b / WRITE_WORDS * WRITE_WORDS;
            localparam MIDDLE = READ_MODE == 0 ? 0 : READ_MODE == 1 ? 0 : READ_PIN - 1;
            localparam FROM = WRITE_MODE == 0 ? 0 : WRITE_MODE == 1 ? 0 : WRITE_PIN - 1;
            assign RDATA[b] = b % READ_WORDS == MIDDLE && row[GROUP*READ_WORDS + which % READ_WORDS];
            assign enables[b] = WE && WCLKE && (WRITE_MODE == 0 ? !MASK[b] : WADDR[10:8] % WRITE_WORDS == b % WRITE_WORDS);
            assign data[b] = WDATA[WRITTEN + FROM];
            always @(posedge WCLK) if (enables[b]) rows[WADDR[7:0]][b] <= data[b];
        end
    endgenerate
endmodule
