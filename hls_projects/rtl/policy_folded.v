// A chain of fully connected layers on a few multipliers: UNITS neurons at a time, one of their inputs per clock.
//
//   observation ─▶ activations ──────────┐                          ┌──────────────── store
//                       ▲                ▼                          │
//                       │   weights ─▶ product ─▶ sum of each unit ─▶ chain ─▶ + constant ─▶ cut ─▶ argmax or values
//                       └─────────────────────────────────────────────────────────────────┘
//
// The observation comes one feature per clock (valid and ready) into one half of the activation memory. Each layer
// reads one half and writes the other. What runs when is the layer program, a few words of
//
//   {last, swap, book, repeats, period, steps}       each number less one, the period less two; steps in the low bits
//
// A word stands for `repeats` groups of UNITS neurons: `steps` clocks with an input each, then none until the
// `period` is over. At least one clock is left out, in which the sums move on and are cleared; at the end of a layer
// the period is as long as the results take to reach the memory, and `swap` makes the halves change roles. After
// the `last` word the next observation is taken while the results of this one are still under way, but nothing
// starts before these have been fetched: a new observation can come at least as often as answers do.
//
// Weights lie in the order in which they are needed, a word for each clock, in as few bits as they have values:
//
//   WEIGHTS = 0   signs: 1 adds the input, 0 subtracts it        WEIGHTS = 1   {not 0, negative}: no multiplier
//   WEIGHTS = 2   numbers of CODE_BITS bits                      WEIGHTS = 3   entries of a table of numbers,
//                                                                              one table for each `book`
// A subtraction adds the complement; the ones that are then missing are in the constants. With GAP_BITS, a unit's
// weight comes with the number of inputs to skip before it, so that zeros take no clock; each unit then reads
// a copy of the activations. Otherwise one input serves all units.
//
// The sums of a group pass through one adder, one cut and one comparison, a neuron per clock. What is special about a
// neuron is its word in the memory of constants:
//
//   {end, last, first, head, store, format, multiplier, constant}             constant in the low bits
//
// constant: bias, half of a step for rounding, and the ones above, in the unit of the scaled sum; multiplier: where
// scales are no powers of two (MULTIPLIER_BITS > 0): the scaled sum is multiplier * sum + constant. A format says
// which of its bits are an activation: drop SHIFT of them (or append some), clear the lowest one after a tie
// (TIE_EVEN: half to even), then saturate to LOW … HIGH; or the sign alone, ±1; or (TABLE) look the result up.
// `store` sends it to the activation memory, `head` to the output: argmax over the neurons from `first` to `last`,
// or (ARGMAX = 0) the values side by side. `end` is the network's last neuron. A neuron with neither `store` nor
// `head` fills a group up.
//
// Pipeline, from the clock of an address: memory, its output register, (gap, memory, register,) (table,) product,
// sum, (chain,) (multiplier three times,) constant, cut, (table twice,) memory. No handshake inside: the sequencer counts.
module policy_folded #(
    parameter UNITS = 1,
    parameter FEATURES = 4,
    parameter INPUT_BITS = 8,
    parameter INPUT_SIGNED = 1,
    parameter ACTIVATION_BITS = 9,       // stored, with a sign
    parameter PLACE_BITS = 6,            // of an address in one half of the activation memory
    parameter WEIGHTS = 2,
    parameter WEIGHT_WORDS = 64,
    parameter WEIGHT_ADDRESS_BITS = 6,
    parameter CODE_BITS = 8,
    parameter VALUE_BITS = 8,            // of a number
    parameter GAP_BITS = 0,
    parameter BOOKS = 1,
    parameter BOOK_BITS = 1,
    parameter BOOK_VALUES = 0,           // (1 << CODE_BITS) entries a book, the first in the low bits
    parameter SUM_BITS = 24,
    parameter MULTIPLIER_BITS = 0,
    parameter SCALED_BITS = 24,          // of the sum with its constant
    parameter CONSTANT_BITS = 24,
    parameter CONSTANT_WORDS = 64,
    parameter CONSTANT_ADDRESS_BITS = 6,
    parameter FORMATS = 1,
    parameter FORMAT_BITS = 1,
    parameter SHIFTS = 0,                // of each format: 40 bits, two's complement
    parameter LOWS = 0,
    parameter HIGHS = 0,
    parameter SIGNS = 0,                 // of each format: 1 bit
    parameter TIE_EVEN = 0,
    parameter TABLED = 0,
    parameter CUT_BITS = 9,              // of an activation before a table; of a value at the head
    parameter TABLE = 0,
    parameter TABLE_WORDS = 2,
    parameter TABLE_BITS = 1,            // of what activations are looked up by; the format stands above it
    parameter PROGRAM_WORDS = 2,
    parameter PROGRAM_ADDRESS_BITS = 1,
    parameter STEP_BITS = 7,
    parameter REPEAT_BITS = 6,
    parameter RAW = 1,                   // the last layer's sums are not cut
    parameter VALUE_WIDTH = 24,          // of a value at the head
    parameter ARGMAX = 1,
    parameter YES_OR_NO = 0,             // a group of one neuron is chosen where it is larger than 0
    parameter CHOICE_BITS = 1,           // of one group's choice, or of one value
    parameter CHOICES = 1,               // groups, or values
    parameter WEIGHT_FILE = "weights.hex",
    parameter CONSTANT_FILE = "constants.hex",
    parameter PROGRAM_FILE = "program.hex",
    parameter TABLE_FILE = "table.hex"
) (
    input wire clk,
    input wire restart,                  // forget whatever is under way
    input wire in_valid,
    output wire in_ready,
    input wire [INPUT_BITS-1:0] observation,               // one feature, feature 0 first
    output wire out_valid,
    input wire out_ready,
    output wire [CHOICES*CHOICE_BITS-1:0] action,          // while out_valid; the first choice in the low bits
    output reg value_valid,                                // the last layer's results as they come, in order
    output reg [VALUE_WIDTH-1:0] value
);
    localparam SPARSE = GAP_BITS > 0;
    localparam BOOKED = WEIGHTS == 3;
    localparam AT_VALUE = SPARSE ? 5 : BOOKED ? 3 : 2;     // clocks from an address to weight and input side by side
    localparam AT_SUM = AT_VALUE + 2;                      // to the sum that has it
    localparam CHAINED = UNITS > 1;

    // When what happens.
    wire start, issue, final_step, half, loading, writes, store;
    wire [STEP_BITS-1:0] step;
    wire [BOOK_BITS-1:0] book;
    wire [PLACE_BITS-1:0] place;
    folded_sequencer #(
        .FEATURES(FEATURES), .PLACE_BITS(PLACE_BITS), .STEP_BITS(STEP_BITS), .REPEAT_BITS(REPEAT_BITS),
        .BOOK_BITS(BOOK_BITS), .WORDS(PROGRAM_WORDS), .ADDRESS_BITS(PROGRAM_ADDRESS_BITS), .FILE(PROGRAM_FILE)
    ) sequencer (
        .clk(clk), .restart(restart), .in_valid(in_valid), .in_ready(in_ready), .fetched(out_valid && out_ready),
        .store(store), .start(start), .issue(issue), .final_step(final_step), .step(step), .book(book), .half(half),
        .loading(loading), .writes(writes), .place(place)
    );
    reg [AT_SUM:0] adds = 0, ends = 0;                     // bit n: n + 1 clocks ago
    always @(posedge clk) begin
        adds <= restart ? 0 : {adds[AT_SUM-1:0], issue};
        ends <= restart ? 0 : {ends[AT_SUM-1:0], final_step};
    end
    wire adding = adds[AT_SUM-2];
    wire summed = ends[AT_SUM-1];

    // Weights.
    localparam WEIGHT_BITS = CODE_BITS + GAP_BITS;
    reg [WEIGHT_ADDRESS_BITS-1:0] weight_address = 0;
    always @(posedge clk)
        if (start) weight_address <= 0;
        else if (issue) weight_address <= weight_address + 1'b1;
    wire [UNITS*WEIGHT_BITS-1:0] weight_word;
    folded_rom #(
        .WORDS(WEIGHT_WORDS), .BITS(UNITS*WEIGHT_BITS), .ADDRESS_BITS(WEIGHT_ADDRESS_BITS), .FILE(WEIGHT_FILE)
    ) weight_memory (.clk(clk), .address(weight_address), .word(weight_word));

    // Activations: one memory, or one for each unit if each skips its own zeros.
    localparam MEMORIES = SPARSE ? UNITS : 1;
    wire [ACTIVATION_BITS-1:0] written;
    wire [MEMORIES*ACTIVATION_BITS-1:0] inputs;
    genvar m, u, f;
    generate
        for (m = 0; m < MEMORIES; m = m + 1) begin : memory
            wire [PLACE_BITS-1:0] read_place;
            if (SPARSE) begin : skipping
                wire [GAP_BITS-1:0] gap = weight_word[m*WEIGHT_BITS+CODE_BITS +: GAP_BITS];
                reg fresh = 1;                             // the next weight is its group's first one
                reg [PLACE_BITS-1:0] at;
                always @(posedge clk) begin
                    if (ends[1] || restart) fresh <= 1;
                    else if (adds[1]) fresh <= 0;
                    if (adds[1]) at <= (fresh ? 0 : at + 1'b1) + gap;
                end
                assign read_place = at;
            end else begin : counting
                assign read_place = step[PLACE_BITS-1:0];
            end
            folded_ram #(.BITS(ACTIVATION_BITS), .ADDRESS_BITS(PLACE_BITS + 1)) activations (
                .clk(clk), .write(writes), .write_address({loading ? half : !half, place}), .written(written),
                .read_address({half, read_place}), .word(inputs[m*ACTIVATION_BITS +: ACTIVATION_BITS])
            );
        end
    endgenerate

    // Products and sums.
    localparam PRODUCT_BITS = WEIGHTS < 2 ? ACTIVATION_BITS : ACTIVATION_BITS + VALUE_BITS;
    wire [UNITS*SUM_BITS-1:0] sums;
    generate
        for (u = 0; u < UNITS; u = u + 1) begin : unit
            wire [CODE_BITS-1:0] code;
            if (SPARSE) begin : waiting
                reg [2*CODE_BITS-1:0] codes;
                always @(posedge clk) codes <= {codes[CODE_BITS-1:0], weight_word[u*WEIGHT_BITS +: CODE_BITS]};
                if (BOOKED) begin : early
                    assign code = codes[2*CODE_BITS-1:CODE_BITS];
                end else begin : late
                    reg [CODE_BITS-1:0] now;
                    always @(posedge clk) now <= codes[2*CODE_BITS-1:CODE_BITS];
                    assign code = now;
                end
            end else begin : at_once
                assign code = weight_word[u*WEIGHT_BITS +: CODE_BITS];
            end
            wire signed [ACTIVATION_BITS-1:0] read = inputs[(SPARSE ? u : 0)*ACTIVATION_BITS +: ACTIVATION_BITS];
            reg signed [PRODUCT_BITS-1:0] product;
            if (WEIGHTS == 0) begin : sign
                always @(posedge clk) product <= code[0] ? read : ~read;
            end else if (WEIGHTS == 1) begin : ternary
                always @(posedge clk) product <= !code[1] ? 0 : code[0] ? ~read : read;
            end else if (WEIGHTS == 2) begin : number
                wire signed [VALUE_BITS-1:0] weight = code;
                always @(posedge clk) product <= read * weight;
            end else begin : listed
                reg signed [VALUE_BITS-1:0] weight, entry;
                wire signed [ACTIVATION_BITS-1:0] now;
                integer i;
                always @* begin
                    entry = 0;
                    for (i = 0; i < BOOKS << CODE_BITS; i = i + 1)
                        if ((BOOKS > 1 ? {book, code} : {{BOOK_BITS{1'b0}}, code}) == i)
                            entry = BOOK_VALUES >> (i * VALUE_BITS);
                end
                if (SPARSE) begin : beside
                    assign now = read;
                end else begin : behind
                    reg signed [ACTIVATION_BITS-1:0] held;
                    always @(posedge clk) held <= read;
                    assign now = held;
                end
                always @(posedge clk) begin
                    weight <= entry;
                    product <= now * weight;
                end
            end
            reg signed [SUM_BITS-1:0] sum = 0;
            always @(posedge clk)
                if (summed || restart) sum <= 0;
                else if (adding) sum <= sum + product;
            assign sums[u*SUM_BITS +: SUM_BITS] = sum;
        end
    endgenerate

    // The sums of a group, one after another, each with its constant, whose address goes two clocks ahead.
    wire fetch;
    wire signed [SUM_BITS-1:0] sum;
    generate
        if (CHAINED) begin : chained
            reg [UNITS*SUM_BITS-1:0] chain;
            reg [UNITS-1:0] ahead = 0;                     // ones for the neurons that wait for their constants
            always @(posedge clk) begin
                chain <= summed ? sums : chain >> SUM_BITS;
                ahead <= restart || start ? 0 : ends[AT_VALUE-1] ? {UNITS{1'b1}} : ahead >> 1;
            end
            assign fetch = ahead[0];
            assign sum = chain[SUM_BITS-1:0];
        end else begin : alone
            assign fetch = ends[AT_VALUE-1];
            assign sum = sums;
        end
    endgenerate
    localparam CONSTANT_WORD_BITS = 5 + FORMAT_BITS + MULTIPLIER_BITS + CONSTANT_BITS;
    reg [CONSTANT_ADDRESS_BITS-1:0] constant_address = 0;
    always @(posedge clk)
        if (start) constant_address <= 0;
        else if (fetch) constant_address <= constant_address + 1'b1;
    wire [CONSTANT_WORD_BITS-1:0] constant_word;
    folded_rom #(
        .WORDS(CONSTANT_WORDS), .BITS(CONSTANT_WORD_BITS), .ADDRESS_BITS(CONSTANT_ADDRESS_BITS), .FILE(CONSTANT_FILE)
    ) constant_memory (.clk(clk), .address(constant_address), .word(constant_word));
    reg [1:0] fetching = 0;
    always @(posedge clk) fetching <= restart ? 0 : {fetching[0], fetch};

    // The scaled sum.
    wire signed [SCALED_BITS-1:0] product, addend;
    wire [FORMAT_BITS+4:0] neuron;                         // what the constant's word says beside numbers
    wire here;
    wire signed [CONSTANT_BITS-1:0] constant = constant_word[CONSTANT_BITS-1:0];
    wire [FORMAT_BITS+4:0] marks = constant_word[CONSTANT_WORD_BITS-1 -: FORMAT_BITS+5];
    generate
        if (MULTIPLIER_BITS > 0) begin : multiplied
            // In pieces of 17 bits, as the multipliers of ECP5 parts have 18 with a sign: a register behind each.
            localparam WIDE_SUM = SUM_BITS > 18, WIDE_FACTOR = MULTIPLIER_BITS > 18;
            localparam LOW_SUM = WIDE_SUM ? 18 : SUM_BITS, LOW_FACTOR = WIDE_FACTOR ? 18 : MULTIPLIER_BITS;
            reg signed [SUM_BITS-1:0] left;
            reg signed [MULTIPLIER_BITS-1:0] right;
            wire signed [LOW_SUM-1:0] left_low = WIDE_SUM ? {1'b0, left[LOW_SUM-2:0]} : left;
            wire signed [LOW_FACTOR-1:0] right_low = WIDE_FACTOR ? {1'b0, right[LOW_FACTOR-2:0]} : right;
            wire signed [SUM_BITS-1:0] left_high = WIDE_SUM ? left >>> 17 : 0;
            wire signed [MULTIPLIER_BITS-1:0] right_high = WIDE_FACTOR ? right >>> 17 : 0;
            reg signed [LOW_SUM+LOW_FACTOR-1:0] low_low;
            reg signed [LOW_SUM+MULTIPLIER_BITS-1:0] low_high;
            reg signed [SUM_BITS+LOW_FACTOR-1:0] high_low;
            reg signed [SUM_BITS+MULTIPLIER_BITS-1:0] high_high;
            reg signed [CONSTANT_BITS-1:0] constant_1, constant_2;
            reg signed [SCALED_BITS-1:0] low, high;
            wire signed [SCALED_BITS-1:0] crossed = low_high + high_low, highest = high_high;
            reg [3*(FORMAT_BITS+5)-1:0] beside;
            reg [2:0] valid = 0;
            always @(posedge clk) begin
                left <= sum;
                right <= constant_word[CONSTANT_BITS +: MULTIPLIER_BITS];
                low_low <= left_low * right_low;
                low_high <= left_low * right_high;
                high_low <= left_high * right_low;
                high_high <= left_high * right_high;
                constant_1 <= constant;
                constant_2 <= constant_1;
                low <= low_low + constant_2;
                high <= (crossed <<< 17) + (highest <<< 34);
                beside <= {beside[2*(FORMAT_BITS+5)-1:0], marks};
                valid <= restart ? 0 : {valid[1:0], fetching[1]};
            end
            assign product = high;
            assign addend = low;
            assign neuron = beside[3*(FORMAT_BITS+5)-1 -: FORMAT_BITS+5];
            assign here = valid[2];
        end else begin : plain
            assign product = sum;
            assign addend = constant;
            assign neuron = marks;
            assign here = fetching[1];
        end
    endgenerate
    reg signed [SCALED_BITS-1:0] scaled;
    reg [FORMAT_BITS-1:0] format;
    reg scaled_here = 0, scaled_store, scaled_head, scaled_first, scaled_last, scaled_end;
    always @(posedge clk) begin
        scaled <= product + addend;
        scaled_here <= here && !restart;
        {scaled_end, scaled_last, scaled_first, scaled_head, scaled_store, format} <= neuron;
    end

    // The cut.
    wire [FORMATS*CUT_BITS-1:0] cuts;
    generate
        for (f = 0; f < FORMATS; f = f + 1) begin : cutter
            folded_cut #(
                .BITS(SCALED_BITS), .CUT_BITS(CUT_BITS), .SHIFT(SHIFTS >> (40 * f)), .LOW(LOWS >> (40 * f)),
                .HIGH(HIGHS >> (40 * f)), .SIGN((SIGNS >> f) & 1), .TIE((TIE_EVEN >> f) & 1)
            ) cut (.scaled(scaled), .result(cuts[f*CUT_BITS +: CUT_BITS]));
        end
    endgenerate
    reg signed [CUT_BITS-1:0] cut;
    reg [FORMAT_BITS-1:0] cut_format;
    reg [5:0] cut_flags = 0;                               // {end, last, first, head, store, here}
    always @(posedge clk) begin
        cut <= cuts >> ((FORMATS > 1 ? format : 0) * CUT_BITS);
        cut_format <= format;
        cut_flags <= {scaled_end, scaled_last, scaled_first, scaled_head, scaled_store, scaled_here && !restart};
    end

    // The table: of activations that no format gives.
    wire signed [ACTIVATION_BITS-1:0] result;
    wire [5:0] flags;
    generate
        if (TABLE) begin : tabled
            wire [ACTIVATION_BITS-1:0] looked_up;
            folded_rom #(
                .WORDS(TABLE_WORDS), .BITS(ACTIVATION_BITS),
                .ADDRESS_BITS(TABLE_BITS + (FORMATS > 1 ? FORMAT_BITS : 0)), .FILE(TABLE_FILE)
            ) table_memory (.clk(clk), .address({cut_format, cut[TABLE_BITS-1:0]}), .word(looked_up));
            reg [2*(ACTIVATION_BITS+1)-1:0] cut_only;
            reg [11:0] later = 0;
            wire from_table = TABLED >> (FORMATS > 1 ? cut_format : 0);
            wire [ACTIVATION_BITS-1:0] cut_activation = cut;
            always @(posedge clk) begin
                cut_only <= {cut_only[ACTIVATION_BITS:0], from_table, cut_activation};
                later <= restart ? 0 : {later[5:0], cut_flags};
            end
            assign result = cut_only[2*(ACTIVATION_BITS+1)-1] ? looked_up
                : cut_only[2*(ACTIVATION_BITS+1)-2 -: ACTIVATION_BITS];
            assign flags = later[11:6];
        end else begin : untabled
            assign result = cut;
            assign flags = cut_flags;
        end
    endgenerate
    wire signed [ACTIVATION_BITS-1:0] feature = INPUT_SIGNED
        ? {{ACTIVATION_BITS-INPUT_BITS+1{observation[INPUT_BITS-1]}}, observation} : observation;
    assign store = flags[0] && flags[1];
    assign written = loading ? feature : result;

    // The head.
    wire [3:0] mark = RAW ? {scaled_end, scaled_last, scaled_first, scaled_head && scaled_here}
        : {flags[5:3], flags[2] && flags[0]};
    wire signed [VALUE_WIDTH-1:0] final_value;
    generate
        if (RAW) begin : raw
            assign final_value = scaled;
        end else if (TABLE) begin : from_table
            assign final_value = result;
        end else begin : from_cut
            assign final_value = cut;
        end
    endgenerate
    always @(posedge clk) begin
        value_valid <= mark[0] && !restart;
        value <= final_value;
    end
    reg ended = 0, answered = 0;
    assign out_valid = answered;
    always @(posedge clk) begin
        ended <= mark[0] && mark[3] && !restart;
        answered <= (ended || (answered && !out_ready)) && !restart;
    end
    generate
        if (ARGMAX) begin : argmax
            reg signed [VALUE_WIDTH-1:0] best;
            reg [CHOICE_BITS-1:0] index, choice;
            wire [CHOICE_BITS-1:0] place_in_group = mark[1] ? 0 : index;
            wire yes_or_no = YES_OR_NO && mark[1] && mark[2];
            wire signed [VALUE_WIDTH-1:0] reference = YES_OR_NO && mark[1] ? 0 : best;
            wire larger = final_value > reference;
            always @(posedge clk)
                if (mark[0]) begin
                    index <= place_in_group + 1'b1;
                    if (yes_or_no) choice <= larger;
                    else if (mark[1] || larger) begin
                        best <= final_value;
                        choice <= place_in_group;
                    end
                end
            if (CHOICES > 1) begin : groups
                reg chosen = 0;
                reg [(CHOICES-1)*CHOICE_BITS-1:0] earlier;
                always @(posedge clk) begin
                    chosen <= mark[0] && mark[2] && !mark[3] && !restart;
                    if (chosen) earlier <= {choice, earlier} >> CHOICE_BITS;
                end
                assign action = {choice, earlier};
            end else begin : one
                assign action = choice;
            end
        end else begin : values
            reg [CHOICES*CHOICE_BITS-1:0] row;
            always @(posedge clk)
                if (mark[0]) row <= {final_value[CHOICE_BITS-1:0], row} >> CHOICE_BITS;
            assign action = row;
        end
    endgenerate
endmodule

// Counts through the layer program; see above. It is in one of three states: loading, loaded, running.
module folded_sequencer #(
    parameter FEATURES = 4,
    parameter PLACE_BITS = 6,
    parameter STEP_BITS = 7,
    parameter REPEAT_BITS = 6,
    parameter BOOK_BITS = 1,
    parameter WORDS = 2,
    parameter ADDRESS_BITS = 1,
    parameter FILE = "program.hex"
) (
    input wire clk,
    input wire restart,
    input wire in_valid,
    output wire in_ready,
    input wire fetched,                  // the answer has been taken
    input wire store,                    // an activation comes
    output wire start,
    output wire issue,                   // an input and its weights are read
    output wire final_step,              // they are their group's last ones
    output reg [STEP_BITS-1:0] step,     // the clock in its group's period
    output wire [BOOK_BITS-1:0] book,
    output reg half,                     // of the activation memory, that is read
    output reg loading,
    output wire writes,
    output reg [PLACE_BITS-1:0] place    // of the feature or activation that is written next
);
    localparam WORD_BITS = 2 + BOOK_BITS + REPEAT_BITS + 2 * STEP_BITS;
    reg loaded = 0, running = 0, issuing = 0;
    reg pending = 0;                     // an answer is under way, or waits to be fetched
    reg [REPEAT_BITS-1:0] repeated = 0;
    reg [ADDRESS_BITS-1:0] address = 0;
    reg [WORD_BITS-1:0] next;            // the program's word at the address
    reg [WORD_BITS-1:0] word = 0;        // the one that is carried out
    initial begin step = 0; half = 0; loading = 1; place = 0; end

    (* rom_style = WORDS <= 32 ? "logic" : "block" *) reg [WORD_BITS-1:0] content [0:WORDS-1];
    initial $readmemh(FILE, content);
    always @(posedge clk) next <= content[address];

    wire last, swap;
    wire [REPEAT_BITS-1:0] repeats;
    wire [STEP_BITS-1:0] period, steps;
    assign {last, swap, book, repeats, period, steps} = word;
    wire accepted = in_valid && loading;
    reg group_over = 0;                  // the last clock of a period
    wire word_over = group_over && repeated == repeats;
    assign in_ready = loading;
    assign start = loaded && !pending;
    assign issue = running && issuing;
    assign final_step = issue && step == steps;
    assign writes = accepted || store;
    always @(posedge clk) begin
        group_over <= running && !group_over && step == period && !restart;
        if (start || group_over) step <= 0;
        else if (running) step <= step + 1'b1;
        if (start || group_over) issuing <= 1;
        else if (final_step) issuing <= 0;
        if (start || word_over) repeated <= 0;
        else if (group_over) repeated <= repeated + 1'b1;
        if (start || word_over) begin
            word <= next;
            address <= word_over && last ? 0 : address + 1'b1;
        end
        if (start || (word_over && (swap || last))) place <= 0;
        else if (writes) place <= place + 1'b1;
        if (word_over && (swap || last)) half <= !last && !half;
        if (accepted && place == FEATURES - 1) begin
            loading <= 0;
            loaded <= 1;
        end
        if (start) begin
            loaded <= 0;
            running <= 1;
            pending <= 1;
        end
        if (word_over && last) begin
            running <= 0;
            loading <= 1;
        end
        if (fetched) pending <= 0;
        if (restart) begin
            step <= 0;
            place <= 0;
            address <= 0;
            half <= 0;
            loading <= 1;
            loaded <= 0;
            running <= 0;
            pending <= 0;
        end
    end
endmodule

// An activation of a scaled sum: the bits from SHIFT up, saturated, or the sign as 1 or -1.
module folded_cut #(
    parameter BITS = 24,
    parameter CUT_BITS = 9,
    parameter signed [39:0] SHIFT = 0,   // negative: bits to append
    parameter signed [39:0] LOW = 0,
    parameter signed [39:0] HIGH = 1,
    parameter SIGN = 0,
    parameter TIE = 0                    // half a step was added: what then ends in zeros was a tie
) (
    input wire signed [BITS-1:0] scaled,
    output wire [CUT_BITS-1:0] result
);
    localparam DROPPED = SHIFT > 0 ? SHIFT : 0;
    localparam APPENDED = SHIFT < 0 ? -SHIFT : 0;
    localparam TOP = $clog2(HIGH + 1);   // bits of the largest activation
    localparam WIDE = BITS > DROPPED ? BITS - DROPPED + APPENDED : 1;
    localparam KEPT = WIDE > CUT_BITS + 1 ? WIDE : CUT_BITS + 1;
    wire negative = scaled[BITS-1];
    wire signed [KEPT+DROPPED-1:0] extended = scaled;
    wire signed [KEPT-1:0] moved = (extended >>> DROPPED) << APPENDED;
    wire tie = TIE != 0 && DROPPED > 0 && (extended & ((1 << DROPPED) - 1)) == 0;
    wire signed [KEPT-1:0] kept = {moved[KEPT-1:1], moved[0] && !tie};
    generate
        if (SIGN != 0) begin : sign
            assign result = negative ? -1 : 1;
        end else if (LOW == 0 && HIGH > 0 && HIGH + 1 == 40'd1 << TOP) begin : unsigned_bits
            wire over = kept[KEPT-1:TOP] != 0;
            assign result = negative ? 0 : {CUT_BITS{over}} & HIGH[CUT_BITS-1:0] | kept[TOP-1:0];
        end else if (HIGH + 1 == 40'd1 << TOP && LOW + HIGH == -1) begin : signed_bits
            wire over = kept[KEPT-1:TOP] != {KEPT-TOP{negative}};
            wire [CUT_BITS-1:0] limit = negative ? LOW[CUT_BITS-1:0] : HIGH[CUT_BITS-1:0];
            assign result = over ? limit : kept[CUT_BITS-1:0];
        end else begin : any
            wire signed [KEPT-1:0] low = LOW, high = HIGH;
            assign result = kept < low ? LOW[CUT_BITS-1:0] : kept > high ? HIGH[CUT_BITS-1:0] : kept[CUT_BITS-1:0];
        end
    endgenerate
endmodule

// A memory that is never written, with the output register that block RAM has.
module folded_rom #(
    parameter WORDS = 2, parameter BITS = 1, parameter ADDRESS_BITS = 1, parameter FILE = "content.hex"
) (
    input wire clk, input wire [ADDRESS_BITS-1:0] address, output wire [BITS-1:0] word
);
    (* rom_style = "block" *) reg [BITS-1:0] content [0:WORDS-1];
    reg [BITS-1:0] read, held;
    assign word = held;
    initial $readmemh(FILE, content);
    always @(posedge clk) begin
        read <= content[address];
        held <= read;
    end
endmodule

// A memory that is written and read in each clock, never at one address, with an output register.
module folded_ram #(parameter BITS = 1, parameter ADDRESS_BITS = 1) (
    input wire clk,
    input wire write, input wire [ADDRESS_BITS-1:0] write_address, input wire [BITS-1:0] written,
    input wire [ADDRESS_BITS-1:0] read_address, output wire [BITS-1:0] word
);
    (* ram_style = "block" *) reg [BITS-1:0] content [0:(1<<ADDRESS_BITS)-1];
    reg [BITS-1:0] read, held;
    assign word = held;
    always @(posedge clk) begin
        if (write) content[write_address] <= written;
        read <= content[read_address];
        held <= read;
    end
endmodule
