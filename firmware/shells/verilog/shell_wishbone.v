// The policy's registers on Wishbone B4 (classic cycles, 32 bits, addresses count words), with an interrupt.
//
// ERR answers a register that isn't there (or is only read), and a write of less than 32 bits; nothing is changed then.
module shell_wishbone #(
    parameter KIND = 0,
    parameter FEATURES = 4,
    parameter FEATURE_BITS = 8,
    parameter LANE_BITS = 8,
    parameter LANES = 4,
    parameter BEATS = 1,
    parameter WORDS = 1,
    parameter WORD_FEATURES = 4,
    parameter ACTION_BITS = 1,
    parameter ACTIONS = 1,
    parameter [16*ACTIONS-1:0] ACTION_ENDS = 1,
    parameter ACTION_SIGNED = 0,
    parameter DEPTH_BITS = 3,
    parameter DRAIN = 4,
    parameter [63:0] POLICY_HASH = 0,
    parameter ADDRESS_BITS = 5
) (
    input  wire clk_i,
    input  wire rst_i,
    input  wire cyc_i,
    input  wire stb_i,
    input  wire we_i,
    input  wire [ADDRESS_BITS-1:0] adr_i,
    input  wire [3:0] sel_i,
    input  wire [31:0] dat_i,
    output reg  [31:0] dat_o,
    output wire ack_o,
    output wire err_o,
    output wire irq
);
    reg done = 0, failed = 0;
    wire known, there, written;
    wire [31:0] content;
    wire asked = cyc_i && stb_i && !done;
    wire good = we_i ? known && sel_i == 4'hf : there;
    wire ends = asked && (!we_i || !good || written);
    assign ack_o = cyc_i && stb_i && done && !failed, err_o = cyc_i && stb_i && done && failed;
    initial dat_o = 0;
    always @(posedge clk_i) begin
        done <= ends && !rst_i;
        failed <= !good;
        if (ends) dat_o <= content;
    end

    shell_registers #(
        .KIND(KIND), .FEATURES(FEATURES), .FEATURE_BITS(FEATURE_BITS), .LANE_BITS(LANE_BITS), .LANES(LANES),
        .BEATS(BEATS), .WORDS(WORDS), .WORD_FEATURES(WORD_FEATURES), .ACTION_BITS(ACTION_BITS), .ACTIONS(ACTIONS),
        .ACTION_ENDS(ACTION_ENDS), .ACTION_SIGNED(ACTION_SIGNED), .DEPTH_BITS(DEPTH_BITS), .DRAIN(DRAIN),
        .POLICY_HASH(POLICY_HASH), .ADDRESS_BITS(ADDRESS_BITS)
    ) registers (
        .clk(clk_i), .reset(rst_i), .write(asked && we_i && good), .write_done(written), .write_known(known),
        .write_address(adr_i), .write_data(dat_i), .read_address(adr_i), .read_data(content), .read_known(there),
        .irq(irq)
    );
endmodule
