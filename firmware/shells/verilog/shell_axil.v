// The policy's registers on AXI4-Lite, with an interrupt. Nothing combinational leads from an input to an output.
//
// Address and data of a write may come in any order. SLVERR answers a register that isn't there (or is only read), an
// address that is no multiple of 4, and a write of less than 32 bits; nothing is changed then.
module shell_axil #(
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
    input  wire s_axi_aclk,
    input  wire s_axi_aresetn,
    input  wire s_axi_awvalid,
    output wire s_axi_awready,
    input  wire [ADDRESS_BITS+1:0] s_axi_awaddr,
    input  wire [2:0] s_axi_awprot,
    input  wire s_axi_wvalid,
    output wire s_axi_wready,
    input  wire [31:0] s_axi_wdata,
    input  wire [3:0] s_axi_wstrb,
    output reg  s_axi_bvalid,
    input  wire s_axi_bready,
    output reg  [1:0] s_axi_bresp,
    input  wire s_axi_arvalid,
    output wire s_axi_arready,
    input  wire [ADDRESS_BITS+1:0] s_axi_araddr,
    input  wire [2:0] s_axi_arprot,
    output reg  s_axi_rvalid,
    input  wire s_axi_rready,
    output reg  [31:0] s_axi_rdata,
    output reg  [1:0] s_axi_rresp,
    output wire irq
);
    localparam [1:0] OKAY = 2'b00, SLVERR = 2'b10;
    wire unused = &{1'b0, s_axi_awprot, s_axi_arprot};

    // A write: both halves are kept until it is done.
    reg have_address = 0, have_data = 0;
    reg [ADDRESS_BITS+1:0] address = 0;
    reg [31:0] data = 0;
    reg [3:0] strobe = 0;
    wire known, done;
    wire good = known && strobe == 4'hf && address[1:0] == 0;
    wire both = have_address && have_data && !s_axi_bvalid;
    wire ends = both && (!good || done);
    assign s_axi_awready = !have_address, s_axi_wready = !have_data;
    initial begin s_axi_bvalid = 0; s_axi_bresp = 0; end
    always @(posedge s_axi_aclk) begin
        if (s_axi_awvalid && s_axi_awready) address <= s_axi_awaddr;
        if (s_axi_wvalid && s_axi_wready) {strobe, data} <= {s_axi_wstrb, s_axi_wdata};
        have_address <= s_axi_aresetn && (have_address ? !ends : s_axi_awvalid);
        have_data <= s_axi_aresetn && (have_data ? !ends : s_axi_wvalid);
        if (ends) s_axi_bresp <= good ? OKAY : SLVERR;
        s_axi_bvalid <= s_axi_aresetn && (ends || (s_axi_bvalid && !s_axi_bready));
    end

    // A read: the register's content as it is when the address has come.
    reg asked = 0;
    reg [ADDRESS_BITS+1:0] read_address = 0;
    wire [31:0] content;
    wire there;
    wire answer = asked && !s_axi_rvalid;
    assign s_axi_arready = !asked;
    initial begin s_axi_rvalid = 0; s_axi_rdata = 0; s_axi_rresp = 0; end
    always @(posedge s_axi_aclk) begin
        if (s_axi_arvalid && s_axi_arready) read_address <= s_axi_araddr;
        asked <= s_axi_aresetn && (asked ? !answer : s_axi_arvalid);
        if (answer) begin
            s_axi_rdata <= content;
            s_axi_rresp <= there && read_address[1:0] == 0 ? OKAY : SLVERR;
        end
        s_axi_rvalid <= s_axi_aresetn && (answer || (s_axi_rvalid && !s_axi_rready));
    end

    shell_registers #(
        .KIND(KIND), .FEATURES(FEATURES), .FEATURE_BITS(FEATURE_BITS), .LANE_BITS(LANE_BITS), .LANES(LANES),
        .BEATS(BEATS), .WORDS(WORDS), .WORD_FEATURES(WORD_FEATURES), .ACTION_BITS(ACTION_BITS), .ACTIONS(ACTIONS),
        .ACTION_ENDS(ACTION_ENDS), .ACTION_SIGNED(ACTION_SIGNED), .DEPTH_BITS(DEPTH_BITS), .DRAIN(DRAIN),
        .POLICY_HASH(POLICY_HASH), .ADDRESS_BITS(ADDRESS_BITS)
    ) registers (
        .clk(s_axi_aclk), .reset(!s_axi_aresetn), .write(both && good), .write_done(done), .write_known(known),
        .write_address(address[ADDRESS_BITS+1:2]), .write_data(data), .read_address(read_address[ADDRESS_BITS+1:2]),
        .read_data(content), .read_known(there), .irq(irq)
    );
endmodule
