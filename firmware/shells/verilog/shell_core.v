// The policy core between two sides that may each pause whenever they like: observations in, answers out.
//
//   beats ─▶ gather ─▶ word ─▶ policy_core ─▶ queue ─▶ answers
//
// A beat brings LANES features, each in LANE_BITS bits of which the low FEATURE_BITS count, the first feature lowest.
// BEATS beats make a word of the core, WORDS words an observation; what lies behind the last feature is ignored.
// Every observation that was begun has a place in the queue before its first beat is taken, so that no answer is ever
// lost, however long the other side takes.
//
// in_last marks an observation's last beat. One that comes too early, or is missing, is told with the answer (out_bad):
// what is missing of the observation counts as 0, and beats beyond its end are dropped up to the next in_last. So each
// in_last has one answer, in order, and the next observation starts afresh.
//
// After a reset all is forgotten. A core without a reset of its own still answers what it had taken: for DRAIN clocks
// nothing is taken, and answers are dropped.
module shell_core #(
    parameter KIND = 0,                         // 0: all features at once, 1: streaming, 2: folded
    parameter FEATURES = 4,
    parameter FEATURE_BITS = 8,
    parameter LANE_BITS = 8,
    parameter LANES = 4,
    parameter BEATS = 1,
    parameter WORDS = 1,
    parameter WORD_FEATURES = 4,
    parameter ACTION_BITS = 1,
    parameter DEPTH_BITS = 3,                   // of the queue's address
    parameter DRAIN = 4
) (
    input  wire clk,
    input  wire reset,
    input  wire in_valid,
    output wire in_ready,
    input  wire [LANES*LANE_BITS-1:0] in_data,
    input  wire in_last,
    output wire first,                          // the next beat begins an observation
    output wire idle,                           // and would not have to wait, nor would the ones behind it for long
    output wire out_valid,
    input  wire out_ready,
    output wire out_bad,
    output wire [ACTION_BITS-1:0] out_action
);
    localparam BEAT_BITS = LANES * FEATURE_BITS, WORD_BITS = WORD_FEATURES * FEATURE_BITS;
    localparam GATHER_BITS = BEATS * BEAT_BITS;
    localparam REST = FEATURES - (WORDS - 1) * WORD_FEATURES;           // features of an observation's last word
    localparam PART_BITS = BEATS > 1 ? $clog2(BEATS) : 1, INDEX_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam DRAIN_BITS = $clog2(DRAIN + 1), COUNT_BITS = DEPTH_BITS + 1;
    localparam LAST_PART = BEATS - 1, LAST_INDEX = WORDS - 1;
    localparam [DRAIN_BITS-1:0] DRAIN_CLOCKS = DRAIN;

    reg [DRAIN_BITS-1:0] drain = DRAIN_CLOCKS;
    wire quiet = reset || drain != 0;
    always @(posedge clk)
        if (reset) drain <= DRAIN_CLOCKS;
        else if (drain != 0) drain <= drain - 1'b1;

    // Beats become words.
    reg [PART_BITS-1:0] part = 0;
    reg [INDEX_BITS-1:0] index = 0;
    reg padding = 0, dropping = 0, gathered = 0;
    reg [GATHER_BITS-1:0] gather = 0;
    wire room, core_ready;
    wire slot = !gathered || core_ready;
    wire last_part = part == LAST_PART, last_index = index == LAST_INDEX, last_beat = last_part && last_index;
    wire take = in_valid && in_ready;
    wire beat = (take && !dropping) || (padding && slot && !quiet);
    assign first = part == 0 && index == 0 && !padding && !dropping;
    assign in_ready = !quiet && (dropping || (!padding && slot && (!first || room)));
    assign idle = first && room && !gathered && core_ready && !quiet;

    wire [BEAT_BITS-1:0] features, next;
    genvar i;
    generate
        for (i = 0; i < LANES; i = i + 1) begin : lane
            assign features[i*FEATURE_BITS +: FEATURE_BITS] = in_data[i*LANE_BITS +: FEATURE_BITS];
        end
        if (REST < WORD_FEATURES) begin : ragged
            // Features of the last word that no observation has; the core wants zeros there.
            for (i = 0; i < LANES; i = i + 1) begin : lane
                wire beyond = last_index && part * LANES + i >= REST;
                assign next[i*FEATURE_BITS +: FEATURE_BITS] =
                    padding || beyond ? {FEATURE_BITS{1'b0}} : features[i*FEATURE_BITS +: FEATURE_BITS];
            end
        end else begin : whole
            assign next = padding ? {BEAT_BITS{1'b0}} : features;
        end
    endgenerate
    always @(posedge clk) begin
        if (beat) begin
            gather[part*BEAT_BITS +: BEAT_BITS] <= next;
            part <= last_part ? 0 : part + 1'b1;
            if (last_part) index <= last_index ? 0 : index + 1'b1;
        end
        gathered <= (beat && last_part) || (gathered && !core_ready);
        if (beat && last_beat) padding <= 0;
        else if (beat && !padding && in_last) padding <= 1;
        if (take) dropping <= !in_last && (dropping || last_beat);
        if (reset) begin
            part <= 0;
            index <= 0;
            padding <= 0;
            dropping <= 0;
            gathered <= 0;
        end
    end

    // The core.
    wire answered;
    wire [ACTION_BITS-1:0] action;
    wire [WORD_BITS-1:0] word = gather[WORD_BITS-1:0];
    // One of three is built; Verilator looks at the ports of all.
    // verilator lint_off PINNOTFOUND
    // verilator lint_off PINMISSING
    generate
        if (KIND == 2) begin : folded
            policy_core core (
                .clk(clk), .restart(quiet), .in_valid(gathered), .in_ready(core_ready), .observation(word),
                .out_valid(answered), .out_ready(1'b1), .action(action)
            );
        end else if (KIND == 1) begin : streaming
            assign core_ready = 1'b1;
            policy_core core (
                .clk(clk), .restart(quiet), .in_valid(gathered), .observation(word), .out_valid(answered),
                .action(action)
            );
        end else begin : all_at_once
            assign core_ready = 1'b1;
            policy_core core (
                .clk(clk), .in_valid(gathered), .observation(word), .out_valid(answered), .action(action)
            );
        end
    endgenerate
    // verilator lint_on PINMISSING
    // verilator lint_on PINNOTFOUND

    // The queue. What was begun and not fetched yet never exceeds its places.
    reg [COUNT_BITS-1:0] begun = 0, ended = 0, kept = 0, fetched = 0;
    reg [ACTION_BITS-1:0] actions [0:(1<<DEPTH_BITS)-1];
    reg [(1<<DEPTH_BITS)-1:0] bad = 0;
    wire [COUNT_BITS-1:0] under_way = begun - fetched;
    assign room = !under_way[DEPTH_BITS];
    assign out_valid = kept != fetched;
    assign out_action = actions[fetched[DEPTH_BITS-1:0]];
    assign out_bad = bad[fetched[DEPTH_BITS-1:0]];
    always @(posedge clk) begin
        if (beat && first) begun <= begun + 1'b1;
        if (beat && last_beat) begin
            ended <= ended + 1'b1;
            bad[ended[DEPTH_BITS-1:0]] <= padding || !in_last;
        end
        if (answered && !quiet) begin
            kept <= kept + 1'b1;
            actions[kept[DEPTH_BITS-1:0]] <= action;
        end
        if (out_valid && out_ready) fetched <= fetched + 1'b1;
        if (reset) begin
            begun <= 0;
            ended <= 0;
            kept <= 0;
            fetched <= 0;
        end
    end
endmodule

// The integers of an action, each extended to a lane of its own, the first one lowest.
module shell_action #(
    parameter COUNT = 1,
    parameter ACTION_BITS = 1,
    parameter [16*COUNT-1:0] ENDS = 1,          // of each integer, the bit behind it
    parameter SIGNED = 0,
    parameter LANE_BITS = 8
) (
    input  wire [ACTION_BITS-1:0] action,
    output wire [COUNT*LANE_BITS-1:0] lanes
);
    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : field
            localparam START = i == 0 ? 0 : ENDS[16*(i == 0 ? 0 : i-1) +: 16], END = ENDS[16*i +: 16];
            wire sign = SIGNED != 0 && action[END-1];
            assign lanes[i*LANE_BITS +: END-START] = action[START +: END-START];
            if (END - START < LANE_BITS) begin : above
                assign lanes[i*LANE_BITS+END-START +: LANE_BITS-END+START] = {LANE_BITS-END+START{sign}};
            end
        end
    endgenerate
endmodule
