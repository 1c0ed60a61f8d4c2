// The policy behind registers of 32 bits, whatever bus reaches them: docs/shells.md has the map.
//
// A write stays until write_done; it is done at once, but for a beat in the middle of an observation, which waits for
// the core to take the one before: some clocks. An observation that is begun while STATUS.READY is 0 is not taken, and
// nothing after it is either until STATUS.OVERRUN is cleared: so no part of one is taken for the start of another.
module shell_registers #(
    parameter KIND = 0,
    parameter FEATURES = 4,
    parameter FEATURE_BITS = 8,
    parameter LANE_BITS = 8,
    parameter LANES = 4,                        // features of a write, 32 bits at most
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
    parameter ADDRESS_BITS = 5                  // of a register's number
) (
    input  wire clk,
    input  wire reset,
    input  wire write,
    output wire write_done,                     // in this clock
    output wire write_known,                    // there is a register to be written there
    input  wire [ADDRESS_BITS-1:0] write_address,
    input  wire [31:0] write_data,
    input  wire [ADDRESS_BITS-1:0] read_address,
    output reg  [31:0] read_data,
    output reg  read_known,
    output wire irq
);
    localparam ID = 0, SHAPE = 1, ANSWER = 2, HASH_LOW = 3, HASH_HIGH = 4, CONTROL = 5, STATUS = 6, COUNT = 7,
               OBSERVATION = 8, NEXT = 9, ACTION = 16;
    localparam FRAME_BEATS = BEATS * WORDS;
    localparam PLACE_BITS = FRAME_BEATS > 1 ? $clog2(FRAME_BEATS) : 1;
    localparam LAST_PLACE = FRAME_BEATS - 1;
    localparam [15:0] FEATURES_16 = FEATURES;
    localparam [7:0] FEATURE_BITS_8 = FEATURE_BITS, LANES_8 = LANES, ACTIONS_8 = ACTIONS, LANE_BITS_8 = LANE_BITS;

    wire control = write && write_address == CONTROL, status = write && write_address == STATUS;
    wire push = write && write_address == OBSERVATION, next = write && write_address == NEXT;
    assign write_known = write_address == CONTROL || write_address == STATUS || write_address == OBSERVATION
                         || write_address == NEXT;

    reg enabled = 0, overrun = 0, restart = 0;
    reg [31:0] answers = 0;
    wire ready, first, idle, valid;
    wire refused = overrun || (first && !idle);
    assign write_done = !push || refused || ready;

    reg [PLACE_BITS-1:0] place = 0;
    wire taken = push && !refused && ready;
    always @(posedge clk) begin
        restart <= control && write_data[1];
        if (control) enabled <= write_data[0];
        if (status && write_data[2]) overrun <= 0;
        else if (push && refused) overrun <= 1;
        if (taken) place <= place == LAST_PLACE ? 0 : place + 1'b1;
        if (valid && next) answers <= answers + 1'b1;
        if (reset || restart) begin
            overrun <= 0;
            place <= 0;
        end
        if (reset) begin
            enabled <= 0;
            restart <= 0;
            answers <= 0;
        end
    end

    wire [ACTION_BITS-1:0] action;
    wire [32*ACTIONS-1:0] integers;
    shell_core #(
        .KIND(KIND), .FEATURES(FEATURES), .FEATURE_BITS(FEATURE_BITS), .LANE_BITS(LANE_BITS), .LANES(LANES),
        .BEATS(BEATS), .WORDS(WORDS), .WORD_FEATURES(WORD_FEATURES), .ACTION_BITS(ACTION_BITS),
        .DEPTH_BITS(DEPTH_BITS), .DRAIN(DRAIN)
    ) core (
        .clk(clk), .reset(reset || restart), .in_valid(push && !refused), .in_ready(ready),
        .in_data(write_data[LANES*LANE_BITS-1:0]), .in_last(place == LAST_PLACE), .first(first), .idle(idle),
        .out_valid(valid), .out_ready(next), .out_bad(), .out_action(action)
    );
    shell_action #(
        .COUNT(ACTIONS), .ACTION_BITS(ACTION_BITS), .ENDS(ACTION_ENDS), .SIGNED(ACTION_SIGNED), .LANE_BITS(32)
    ) extension (.action(action), .lanes(integers));
    assign irq = enabled && valid;

    wire [ADDRESS_BITS-1:0] number = read_address - ACTION;
    wire is_action = read_address >= ACTION && number < ACTIONS;
    integer i;
    always @* begin
        read_known = 1'b1;
        case (read_address)
            ID: read_data = 32'h34534c48;       // "HLS4", lowest byte first
            SHAPE: read_data = {LANES_8, FEATURE_BITS_8, FEATURES_16};
            ANSWER: read_data = {16'd0, LANE_BITS_8, ACTIONS_8};
            HASH_LOW: read_data = POLICY_HASH[31:0];
            HASH_HIGH: read_data = POLICY_HASH[63:32];
            CONTROL: read_data = {31'd0, enabled};
            STATUS: read_data = {28'd0, !first, overrun, valid, !overrun && idle};
            COUNT: read_data = answers;
            OBSERVATION, NEXT: read_data = 32'd0;
            default: begin
                read_data = 32'd0;
                read_known = is_action;
                for (i = 0; i < ACTIONS; i = i + 1)
                    if (is_action && number == i) read_data = integers[32*i +: 32];
            end
        endcase
    end
endmodule
