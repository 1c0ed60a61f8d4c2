// A policy of two layers for observations too wide to come at once: PIXELS inputs per clock, frames back to back.
//
//   pixels ─┐
//   weights ┴▶ terms ▶ sum of a word ▶ one accumulator a unit ─▶ chain, LANES units per clock
//                                                                  │ at the end of a frame
//   action ◀ argmax ◀ logits ◀ products with the output weights ◀ bias and cut
//
// The memories lie outside: their words arrive two clocks after their address, through the block RAM's output
// register. The units of the first half come in banks, each with a memory and with registers of its own for whatever
// all units need: what spreads over a whole part in one clock would be its slowest way. Nothing waits for anything: while one frame's units pass through the second half, the next frame fills
// the accumulators.
module policy_stream #(
    parameter WORDS = 2,              // a frame, in clocks
    parameter PIXELS = 1,             // inputs a word
    parameter PIXEL_BITS = 2,         // 2: signed, 1: unsigned
    parameter UNITS = 1,              // hidden units, a multiple of LANES
    parameter LANES = 1,
    parameter BANKS = 1,              // UNITS is a multiple of it
    parameter ACTIONS = 2,
    parameter CODE_BITS = 1,          // stored bits of one weight
    parameter MASKS = 1,              // 1: a weight is one bit that lets its pixel pass
    parameter VALUE_BITS = 1,         // otherwise: bits of a weight,
    parameter INDICES = 0,            // which is the code itself, or (1) the code's entry in
    parameter VALUES = 0,
    parameter SUM_BITS = 8,           // of an accumulator
    parameter COMMON_BITS = 8,        // of what all units have in common
    parameter SUM_FACTOR = 1,         // before activation: SUM_FACTOR * sum + COMMON_FACTOR * common + bias
    parameter COMMON_FACTOR = 1,
    parameter BEFORE_BITS = 8,        // of that
    parameter SIGNS = 0,              // 1: the activation is a sign; 0: drop DROP bits, then saturate
    parameter DROP = 0,
    parameter MINIMUM = 0,
    parameter MAXIMUM = 1,
    parameter HIDDEN_BITS = 2,        // of an activation, with its sign
    parameter OUTPUT_BITS = 2,        // of an output weight
    parameter LOGIT_BITS = 8,
    parameter START = 0,              // the output layer's biases, action 0 in the low bits
    parameter INDEX_BITS = 1,
    parameter GROUP_BITS = 1,
    parameter ACTION_BITS = 1
) (
    input wire clk,
    input wire restart,               // forget the frame that has begun (without in_valid)
    input wire in_valid,
    input wire [PIXELS*PIXEL_BITS-1:0] observation,             // first pixel in the low bits
    output wire [BANKS*INDEX_BITS-1:0] weight_address,          // of each bank
    input wire [UNITS*PIXELS*CODE_BITS-1:0] weight_word,        // unit 0, first pixel in the low bits
    output reg [GROUP_BITS-1:0] unit_address,
    input wire [LANES*(BEFORE_BITS+ACTIONS*OUTPUT_BITS)-1:0] unit_word,  // a lane: its bias above its output weights
    output reg out_valid,
    output reg [ACTION_BITS-1:0] action,
    output wire [ACTIONS*LOGIT_BITS-1:0] logits                 // while out_valid
);
    localparam LEVELS = $clog2(PIXELS);
    localparam GROUPS = UNITS / LANES;
    localparam DELAY = LEVELS + INDICES + 4;    // clocks from a pixel's register to the accumulators
    localparam BANK = UNITS / BANKS;

    // The frame's words are counted; the memory reads its next word in the clock in which the pixels come.
    reg at_last = 0;
    reg [INDEX_BITS-1:0] index = 0;
    reg [DELAY-2:0] valid = 0, last = 0, cleared = 0;
    reg [PIXELS*PIXEL_BITS-1:0] pixels, pixels_now;
    always @(posedge clk) begin
        if (restart || (in_valid && at_last)) index <= 0;
        else if (in_valid) index <= index + 1'b1;
        if (restart || in_valid) at_last <= !restart && index == WORDS - 2;
        pixels <= observation;
        pixels_now <= pixels;
        valid <= {valid[DELAY-3:0], in_valid && !restart};
        last <= {last[DELAY-3:0], in_valid && at_last && !restart};
        cleared <= {cleared[DELAY-3:0], restart};
    end
    reg add = 0, load = 0, clear = 0;
    always @(posedge clk) begin
        add <= valid[DELAY-2];
        load <= last[DELAY-2];
        clear <= last[DELAY-2] || cleared[DELAY-2];
    end

    // Pixels as signed numbers of two bits.
    wire [2*PIXELS-1:0] signed_pixels, common_terms;
    reg [2*PIXELS*(INDICES+2)-1:0] common_registers;
    genvar p, b, u, l, a;
    generate
        for (p = 0; p < PIXELS; p = p + 1) begin : pixel
            wire [1:0] value = PIXEL_BITS == 2 ? pixels_now[p*PIXEL_BITS +: PIXEL_BITS] : {1'b0, pixels_now[p]};
            assign signed_pixels[2*p +: 2] = value;
            // What the terms leave out: for masks the pixel (weights are low or high), else the 1 of a complement.
            assign common_terms[2*p +: 2] = MASKS ? value : {1'b0, value[1]};
        end
    endgenerate
    always @(posedge clk) common_registers <= {common_registers[2*PIXELS*(INDICES+1)-1:0], common_terms};
    wire signed [COMMON_BITS-1:0] common;
    stream_accumulator #(.COUNT(PIXELS), .BITS(2), .SUM_BITS(COMMON_BITS)) common_sum (
        .clk(clk), .add(add), .clear(clear), .terms(common_registers[2*PIXELS*(INDICES+1) +: 2*PIXELS]),
        .total(common));

    reg [UNITS*SUM_BITS-1:0] chain;
    wire [UNITS*SUM_BITS-1:0] following = chain >> (LANES * SUM_BITS);
    localparam TERM_BITS = MASKS ? 2 : VALUE_BITS + 1;
    wire [UNITS*SUM_BITS-1:0] totals;
    wire [BANKS-1:0] loads;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : bank
            reg [INDEX_BITS-1:0] address;
            reg [2*PIXELS-1:0] bank_pixels;
            reg bank_add = 0, bank_load = 0, bank_clear = 0;
            (* keep *)                // each bank's own, though all are alike
            always @(posedge clk) begin
                address <= index;
                bank_pixels <= signed_pixels;
                bank_add <= valid[DELAY-2];
                bank_load <= last[DELAY-2];
                bank_clear <= last[DELAY-2] || cleared[DELAY-2];
            end
            assign weight_address[b*INDEX_BITS +: INDEX_BITS] = address;
            assign loads[b] = bank_load;
            wire [2*PIXELS-1:0] values;
            if (INDICES) begin : later
                reg [2*PIXELS-1:0] held;
                always @(posedge clk) held <= bank_pixels;
                assign values = held;
            end else begin : now
                assign values = bank_pixels;
            end
        end
        for (u = 0; u < UNITS; u = u + 1) begin : unit
            reg [PIXELS*TERM_BITS-1:0] terms;
            for (p = 0; p < PIXELS; p = p + 1) begin : pixel
                wire [CODE_BITS-1:0] code = weight_word[(u*PIXELS+p)*CODE_BITS +: CODE_BITS];
                wire [1:0] value = bank[u/BANK].values[2*p +: 2];
                if (MASKS) begin : mask
                    always @(posedge clk) terms[2*p +: 2] <= code ? value : 2'd0;
                end else begin : product
                    wire signed [VALUE_BITS-1:0] weight;
                    if (INDICES) begin : indexed
                        // Entry by entry: of a shift Yosys makes a memory, which takes its address's register.
                        reg [VALUE_BITS-1:0] entry, looked_up;
                        integer i;
                        always @* begin
                            entry = 0;
                            for (i = 0; i < 1 << CODE_BITS; i = i + 1)
                                if (code == i) entry = VALUES >> (i * VALUE_BITS);
                        end
                        always @(posedge clk) looked_up <= entry;
                        assign weight = looked_up;
                    end else begin : plain
                        assign weight = code;
                    end
                    // 0, w, -2w - 1, -w - 1: one look-up table a bit; the ones are counted in common.
                    wire signed [TERM_BITS-1:0] once = weight;
                    wire [TERM_BITS-1:0] multiple = value == 2'b10 ? once <<< 1 : value != 0 ? once : 0;
                    always @(posedge clk) terms[p*TERM_BITS +: TERM_BITS] <= multiple ^ {TERM_BITS{value[1]}};
                end
            end
            stream_accumulator #(.COUNT(PIXELS), .BITS(TERM_BITS), .SUM_BITS(SUM_BITS)) accumulator (
                .clk(clk), .add(bank[u/BANK].bank_add), .clear(bank[u/BANK].bank_clear), .terms(terms),
                .total(totals[u*SUM_BITS +: SUM_BITS]));
            // A whole frame: the units' sums pass by, LANES per clock; see chain below.
            always @(posedge clk)
                chain[u*SUM_BITS +: SUM_BITS] <=
                    loads[u/BANK] ? totals[u*SUM_BITS +: SUM_BITS] : following[u*SUM_BITS +: SUM_BITS];
        end
    endgenerate

    reg [LANES*SUM_BITS-1:0] passing, sums;
    reg signed [COMMON_BITS-1:0] common_held;
    reg signed [BEFORE_BITS-1:0] offset;
    reg running = 0;
    reg [6:0] used = 0, first = 0;
    reg [7:0] ends = 0;
    initial unit_address = 0;
    wire ending = running && unit_address == GROUPS - 1;
    always @(posedge clk) begin
        if (load) common_held <= common;
        offset <= COMMON_FACTOR * common_held;
        if (load) unit_address <= 0;
        else if (running && !ending) unit_address <= unit_address + 1'b1;
        running <= load || (running && !ending);
        used <= {used[5:0], running};
        first <= {first[5:0], running && unit_address == 0};
        ends <= {ends[6:0], ending};
        passing <= chain[LANES*SUM_BITS-1:0];
        sums <= passing;
    end

    localparam LANE_BITS = BEFORE_BITS + ACTIONS * OUTPUT_BITS;
    wire [LANES*ACTIONS*LOGIT_BITS-1:0] products;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lane
            reg signed [BEFORE_BITS-1:0] bias, partial, total;
            reg [ACTIONS*OUTPUT_BITS-1:0] weights_0, weights_1, weights_2;
            reg signed [HIDDEN_BITS-1:0] hidden;
            wire signed [SUM_BITS-1:0] sum = sums[l*SUM_BITS +: SUM_BITS];
            wire signed [BEFORE_BITS-1:0] kept = total >>> DROP;
            always @(posedge clk) begin
                partial <= SUM_FACTOR * sum + offset;
                {bias, weights_0} <= unit_word[l*LANE_BITS +: LANE_BITS];
                total <= partial + bias;
                weights_1 <= weights_0;
                if (SIGNS) hidden <= total < 0 ? -1 : 1;
                else hidden <= kept < MINIMUM ? MINIMUM : kept > MAXIMUM ? MAXIMUM : kept;
                weights_2 <= weights_1;
            end
            for (a = 0; a < ACTIONS; a = a + 1) begin : product
                wire signed [OUTPUT_BITS-1:0] weight = weights_2[a*OUTPUT_BITS +: OUTPUT_BITS];
                reg signed [HIDDEN_BITS+OUTPUT_BITS-1:0] result;
                wire signed [HIDDEN_BITS:0] once = hidden;
                if (OUTPUT_BITS <= 2) begin : choice      // of ±hidden: no multiplier
                    always @(posedge clk)
                        result <= weight == 0 ? 0 : weight > 0 ? once : weight[0] ? -once : -once <<< 1;
                end else if (SIGNS) begin : sign
                    always @(posedge clk) result <= hidden < 0 ? -weight : weight;
                end else begin : multiplier
                    always @(posedge clk) result <= hidden * weight;
                end
                wire signed [LOGIT_BITS-1:0] extended = result;
                assign products[(l*ACTIONS+a)*LOGIT_BITS +: LOGIT_BITS] = extended;
            end
        end
        for (a = 0; a < ACTIONS; a = a + 1) begin : logit
            reg signed [LOGIT_BITS-1:0] partial, result, sum_of_lanes;
            integer i;
            always @* begin
                sum_of_lanes = 0;
                for (i = 0; i < LANES; i = i + 1)
                    sum_of_lanes = sum_of_lanes + products[(i*ACTIONS+a)*LOGIT_BITS +: LOGIT_BITS];
            end
            wire signed [LOGIT_BITS-1:0] start = START >> (a * LOGIT_BITS);
            always @(posedge clk) begin
                partial <= sum_of_lanes;
                if (used[6]) result <= (first[6] ? start : result) + partial;
            end
            assign logits[a*LOGIT_BITS +: LOGIT_BITS] = result;
        end
    endgenerate

    // The first largest logit, one comparison per clock.
    reg signed [LOGIT_BITS-1:0] best;
    reg [ACTIONS*LOGIT_BITS-1:0] others;
    reg [ACTION_BITS-1:0] candidate;
    reg comparing = 0;
    wire signed [LOGIT_BITS-1:0] other = others[LOGIT_BITS-1:0];
    initial out_valid = 0;
    always @(posedge clk) begin
        out_valid <= comparing && candidate == ACTIONS - 1;
        comparing <= ends[7] || (comparing && candidate != ACTIONS - 1);
        if (ends[7]) begin
            best <= logits[LOGIT_BITS-1:0];
            others <= logits >> LOGIT_BITS;
            action <= 0;
            candidate <= 1;
        end else if (comparing) begin
            others <= others >> LOGIT_BITS;
            candidate <= candidate + 1'b1;
            if (other > best) begin
                best <= other;
                action <= candidate;
            end
        end
    end
endmodule

// Adds COUNT signed terms per clock, pair by pair, to a sum that is cleared after its last word.
module stream_accumulator #(parameter COUNT = 1, parameter BITS = 2, parameter SUM_BITS = 8) (
    input wire clk, input wire add, input wire clear,
    input wire [COUNT*BITS-1:0] terms,
    output wire signed [SUM_BITS-1:0] total        // this word included
);
    localparam LEVELS = $clog2(COUNT);
    wire signed [BITS+LEVELS-1:0] word;
    stream_pairs #(.COUNT(COUNT), .BITS(BITS), .LEVELS(LEVELS)) pairs (.clk(clk), .terms(terms), .sum(word));
    reg signed [SUM_BITS-1:0] sum = 0;
    assign total = sum + word;
    always @(posedge clk)
        if (clear) sum <= 0;
        else if (add) sum <= total;
endmodule

// The sum of COUNT signed terms, a register after each of the LEVELS.
module stream_pairs #(parameter COUNT = 1, parameter BITS = 2, parameter LEVELS = 0) (
    input wire clk, input wire [COUNT*BITS-1:0] terms, output wire signed [BITS+LEVELS-1:0] sum
);
    localparam HALF = (COUNT + 1) / 2;
    genvar i;
    generate
        if (LEVELS == 0) begin : one
            assign sum = terms;
        end else begin : many
            reg [HALF*(BITS+1)-1:0] halves;
            for (i = 0; i < HALF; i = i + 1) begin : pair
                wire signed [BITS-1:0] left = terms[2*i*BITS +: BITS];
                if (2 * i + 1 < COUNT) begin : both
                    wire signed [BITS-1:0] right = terms[(2*i+1)*BITS +: BITS];
                    always @(posedge clk) halves[i*(BITS+1) +: BITS+1] <= left + right;
                end else begin : alone
                    always @(posedge clk) halves[i*(BITS+1) +: BITS+1] <= {left[BITS-1], left};
                end
            end
            stream_pairs #(.COUNT(HALF), .BITS(BITS+1), .LEVELS(LEVELS-1)) rest (
                .clk(clk), .terms(halves), .sum(sum));
        end
    endgenerate
endmodule

// A memory that is never written, with the output register that block RAM has.
module stream_memory #(
    parameter WORDS = 2, parameter BITS = 1, parameter ADDRESS_BITS = 1, parameter CONTENT = "content.hex"
) (
    input wire clk, input wire [ADDRESS_BITS-1:0] address, output wire [BITS-1:0] word
);
    (* ram_style = "block" *) reg [BITS-1:0] content [0:WORDS-1];
    reg [BITS-1:0] read, held;
    assign word = held;
    initial $readmemh(CONTENT, content);
    always @(posedge clk) begin
        read <= content[address];
        held <= read;
    end
endmodule
