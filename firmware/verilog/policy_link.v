// The whole design behind a serial port: UART, frames, the policy core, and counters on what happened (PROTOCOL.md).
module policy_link #(
    parameter FEATURES = 4,
    parameter BITS = 8,                         // of one feature
    parameter ACTION_BITS = 1,                  // of an answer: 1 to 256
    parameter WORDS = 0,                        // of a frame, for a streaming core; 0: all features come at once
    parameter WORD_BITS = 8,
    parameter HANDSHAKE = 0,                    // the streaming core has ready signals; it is ready whenever it is idle
    parameter [63:0] POLICY_HASH = 0,
    parameter CLOCKS_PER_BIT = 8
) (
    input  wire clk,
    input  wire reset,
    input  wire rx,
    output wire tx,
    output wire led                             // blinks slowly when idle, glows while requests are answered
);
    localparam VERSION = 8'd2;
    localparam OBSERVATION_BITS = FEATURES * BITS;
    localparam CODED = WORDS != 0;
    localparam OBSERVATION_BYTES = CODED ? WORDS * (1 + (WORD_BITS + 7) / 8) : (OBSERVATION_BITS + 7) / 8;
    localparam KEPT_BYTES = CODED ? 1 : OBSERVATION_BYTES;
    localparam PLACE_BITS = $clog2(OBSERVATION_BYTES + 9);
    localparam ACTION_BYTES = (ACTION_BITS + 7) / 8;
    localparam ENTRY_BITS = 17 + 8 * ACTION_BYTES;
    localparam QUEUE_BITS = 6;                  // the host keeps at most 2^QUEUE_BITS - 1 requests in flight
    localparam [5:0] ANSWER_LENGTH = 3 + ACTION_BYTES, IDENTITY_LENGTH = 28;

    // Switched on: a reset of a few clocks, with the button's, if there is one.
    reg [3:0] awake = 0;
    reg [1:0] button = 2'b11;
    wire quiet = !awake[3] || button[1];
    always @(posedge clk) begin
        if (!awake[3]) awake <= awake + 1'b1;
        button <= {button[0], reset};
    end

    // Requests.
    wire        byte_valid, byte_error, identify, infer, rejected;
    wire [7:0]  data;
    wire [15:0] number;
    wire [8*KEPT_BYTES-1:0] observation;
    wire        body_valid;
    wire [7:0]  body;
    wire [PLACE_BITS-1:0] place, body_length;
    uart_receiver #(.CLOCKS_PER_BIT(CLOCKS_PER_BIT)) uart (
        .clk(clk), .reset(quiet), .rx(rx), .valid(byte_valid), .error(byte_error), .data(data)
    );
    frame_receiver #(.OBSERVATION_BYTES(OBSERVATION_BYTES), .CODED(CODED)) receiver (
        .clk(clk), .reset(quiet), .byte_valid(byte_valid), .byte_error(byte_error), .data(data), .identify(identify),
        .infer(infer), .rejected(rejected), .number(number), .observation(observation), .body_valid(body_valid),
        .body(body), .place(place), .body_length(body_length)
    );

    // The core, one observation at a time, and its latency in clocks. A core that never answers is not waited for.
    reg         busy = 0;
    reg  [15:0] tag = 0, clocks = 0, shortest = 16'hffff, longest = 0;
    wire        open;                           // the request's observation could be kept
    wire        start = infer && !busy && open;
    wire        core_valid;
    wire [ACTION_BITS-1:0] action;
    generate
        if (CODED) begin : words
            wire word_valid;
            wire [WORD_BITS-1:0] word;
            word_feeder #(
                .WORDS(WORDS), .WORD_BITS(WORD_BITS), .BYTES(OBSERVATION_BYTES), .PLACE_BITS(PLACE_BITS)
            ) feeder (
                .clk(clk), .reset(quiet), .busy(busy), .body_valid(body_valid), .body(body), .place(place),
                .start(start), .length(body_length), .open(open), .word_valid(word_valid), .word(word)
            );
            if (HANDSHAKE) begin : folded
                policy_core core (
                    .clk(clk), .restart(quiet), .in_valid(word_valid), .in_ready(), .observation(word),
                    .out_valid(core_valid), .out_ready(1'b1), .action(action)
                );
            end else begin : streaming
                policy_core core (
                    .clk(clk), .restart(quiet), .in_valid(word_valid), .observation(word), .out_valid(core_valid),
                    .action(action)
                );
            end
        end else begin : all_at_once
            assign open = 1'b1;
            policy_core core (
                .clk(clk), .in_valid(start), .observation(observation[OBSERVATION_BITS-1:0]),
                .out_valid(core_valid), .action(action)
            );
        end
    endgenerate
    wire        answered = core_valid && busy;
    always @(posedge clk) begin
        clocks <= start ? 16'd0 : clocks + 1'b1;    // between the edge that takes in and the edge that puts out
        if (start) begin
            tag <= number;
            busy <= 1;
        end
        if (answered) begin
            busy <= 0;
            if (clocks < shortest) shortest <= clocks;
            if (clocks > longest) longest <= clocks;
        end
        if (busy && clocks == 16'hffff) busy <= 0;
        if (quiet) begin
            busy <= 0;
            shortest <= 16'hffff;
            longest <= 0;
        end
    end

    // The queue of answers: {action, is it an identity, sequence}.
    reg  [ENTRY_BITS-1:0] queue [0:(1 << QUEUE_BITS)-1];
    reg  [ENTRY_BITS-1:0] head = 0;
    wire [8*ACTION_BYTES-1:0] whole = action;
    reg  [QUEUE_BITS-1:0] write = 0, read = 0;
    reg         fetched = 0;                    // `head` is the queue's first entry
    wire        full = write + 1'b1 == read;
    wire        push = (identify || answered) && !full;
    wire        sender_ready;
    reg         sending = 0;
    always @(posedge clk) begin
        if (push) queue[write] <= answered ? {whole, 1'b0, tag} : {{8 * ACTION_BYTES{1'b0}}, 1'b1, number};
        if (push) write <= write + 1'b1;
        if (!sending && !fetched) begin
            head <= queue[read];
            fetched <= write != read;
        end
        if (fetched && sender_ready) begin
            fetched <= 0;
            sending <= 1;
            read <= read + 1'b1;
        end
        if (sending && sender_ready && !fetched) sending <= 0;
        if (quiet) begin
            write <= 0;
            read <= 0;
            fetched <= 0;
            sending <= 0;
        end
    end

    // What happened since the reset.
    reg [31:0] accepted = 0;
    reg [15:0] damaged = 0, dropped = 0;
    reg [63:0] counters = 0;                    // as they were when the frame was begun
    wire lost = (infer && !start) || ((identify || answered) && full);
    always @(posedge clk) begin
        if (identify || infer) accepted <= accepted + 1'b1;
        if (rejected && !(&damaged)) damaged <= damaged + 1'b1;
        if (lost && !(&dropped)) dropped <= dropped + 1'b1;
        if (fetched && sender_ready) counters <= {dropped, damaged, accepted};
        if (quiet) begin
            accepted <= 0;
            damaged <= 0;
            dropped <= 0;
        end
    end

    // Answers.
    localparam [15:0] FEATURES_16 = FEATURES;
    localparam [7:0] BITS_8 = BITS, ACTION_8 = ACTION_BITS - 1;
    wire [5:0] index;
    wire       is_identity = head[16];
    wire [8*ACTION_BYTES-1:0] rest = head[ENTRY_BITS-1:17] >> {index - 6'd3, 3'b000};
    reg  [7:0] told;
    wire [7:0] payload = is_identity || index < 6'd3 ? told : rest[7:0];
    always @* begin
        case (index)
            6'd0: told = is_identity ? 8'h81 : 8'h82;
            6'd1: told = head[7:0];
            6'd2: told = head[15:8];
            6'd3: told = VERSION;
            6'd4: told = FEATURES_16[7:0];
            6'd5: told = FEATURES_16[15:8];
            6'd6: told = BITS_8;
            6'd7: told = ACTION_8;
            6'd8: told = POLICY_HASH[7:0];
            6'd9: told = POLICY_HASH[15:8];
            6'd10: told = POLICY_HASH[23:16];
            6'd11: told = POLICY_HASH[31:24];
            6'd12: told = POLICY_HASH[39:32];
            6'd13: told = POLICY_HASH[47:40];
            6'd14: told = POLICY_HASH[55:48];
            6'd15: told = POLICY_HASH[63:56];
            6'd16: told = shortest[7:0];
            6'd17: told = shortest[15:8];
            6'd18: told = longest[7:0];
            6'd19: told = longest[15:8];
            6'd20: told = counters[7:0];
            6'd21: told = counters[15:8];
            6'd22: told = counters[23:16];
            6'd23: told = counters[31:24];
            6'd24: told = counters[39:32];
            6'd25: told = counters[47:40];
            6'd26: told = counters[55:48];
            default: told = counters[63:56];
        endcase
    end
    frame_sender #(.CLOCKS_PER_BIT(CLOCKS_PER_BIT), .DEEP(ACTION_BYTES > 25)) sender (
        .clk(clk), .reset(quiet), .start(fetched), .length(is_identity ? IDENTITY_LENGTH : ANSWER_LENGTH),
        .payload(payload), .index(index), .ready(sender_ready), .tx(tx)
    );

    // The light: bit 23 toggles every 0.7 s at 12 MHz.
    reg [23:0] blink = 0;
    reg [19:0] glow = 0;
    always @(posedge clk) begin
        blink <= blink + 1'b1;
        glow <= identify || infer ? 20'hfffff : glow - (glow != 0);
    end
    assign led = glow != 0 || blink[23];
endmodule
