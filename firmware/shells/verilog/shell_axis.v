// The policy as an AXI4-Stream component: an observation is a packet, an answer a packet of one beat.
//
// s_axis_tdata: LANES features a beat, each in LANE_BITS bits. m_axis_tdata: the action's integers, each in ACTION_LANE
// bits, extended by their sign if they have one. m_axis_tuser: the packet that this answers had the wrong length.
module shell_axis #(
    parameter KIND = 0,
    parameter FEATURES = 4,
    parameter FEATURE_BITS = 8,
    parameter LANE_BITS = 8,
    parameter LANES = 4,
    parameter BEATS = 1,
    parameter WORDS = 1,
    parameter WORD_FEATURES = 4,
    parameter ACTION_BITS = 1,
    parameter ACTIONS = 1,                      // integers of an action
    parameter [16*ACTIONS-1:0] ACTION_ENDS = 1,
    parameter ACTION_SIGNED = 0,
    parameter ACTION_LANE = 8,
    parameter DEPTH_BITS = 3,
    parameter DRAIN = 4,
    parameter IN_BITS = 32,                     // of s_axis_tdata
    parameter OUT_BITS = 8                      // of m_axis_tdata
) (
    input  wire aclk,
    input  wire aresetn,
    input  wire s_axis_tvalid,
    output wire s_axis_tready,
    input  wire [IN_BITS-1:0] s_axis_tdata,
    input  wire s_axis_tlast,
    output wire m_axis_tvalid,
    input  wire m_axis_tready,
    output wire [OUT_BITS-1:0] m_axis_tdata,
    output wire m_axis_tlast,
    output wire m_axis_tuser
);
    wire [ACTION_BITS-1:0] action;
    wire [ACTIONS*ACTION_LANE-1:0] lanes;
    shell_core #(
        .KIND(KIND), .FEATURES(FEATURES), .FEATURE_BITS(FEATURE_BITS), .LANE_BITS(LANE_BITS), .LANES(LANES),
        .BEATS(BEATS), .WORDS(WORDS), .WORD_FEATURES(WORD_FEATURES), .ACTION_BITS(ACTION_BITS),
        .DEPTH_BITS(DEPTH_BITS), .DRAIN(DRAIN)
    ) core (
        .clk(aclk), .reset(!aresetn), .in_valid(s_axis_tvalid), .in_ready(s_axis_tready),
        .in_data(s_axis_tdata[LANES*LANE_BITS-1:0]), .in_last(s_axis_tlast), .first(), .idle(),
        .out_valid(m_axis_tvalid), .out_ready(m_axis_tready), .out_bad(m_axis_tuser), .out_action(action)
    );
    shell_action #(
        .COUNT(ACTIONS), .ACTION_BITS(ACTION_BITS), .ENDS(ACTION_ENDS), .SIGNED(ACTION_SIGNED),
        .LANE_BITS(ACTION_LANE)
    ) extension (.action(action), .lanes(lanes));
    assign m_axis_tlast = 1'b1;
    assign m_axis_tdata[ACTIONS*ACTION_LANE-1:0] = lanes;
    generate
        if (OUT_BITS > ACTIONS * ACTION_LANE) begin : above
            assign m_axis_tdata[OUT_BITS-1:ACTIONS*ACTION_LANE] = 0;
        end
    endgenerate
endmodule
