// Gives a streaming core its words: keeps a request's body until its check is known, then undoes the run lengths.
//
// A body is a row of pairs: how many words of zeros come first, then one word, lowest byte first. 255 zeros stand
// without a word; what is left of a frame after the last pair is zero (PROTOCOL.md). One request is kept at a time.
module word_feeder #(
    parameter WORDS = 2,              // of a frame
    parameter WORD_BITS = 8,
    parameter BYTES = 16,             // of the longest body
    parameter PLACE_BITS = 5          // of a place in it
) (
    input  wire                  clk,
    input  wire                  reset,
    input  wire                  busy,          // the kept request isn't answered yet
    input  wire                  body_valid,    // a byte of a body, good or not
    input  wire [7:0]            body,
    input  wire [PLACE_BITS-1:0] place,         // of that byte
    input  wire                  start,         // the body was good
    input  wire [PLACE_BITS-1:0] length,        // its bytes
    output reg                   open,          // the body that comes in, or came in last, is kept
    output reg                   word_valid,
    output reg  [WORD_BITS-1:0]  word
);
    localparam WORD_BYTES = (WORD_BITS + 7) / 8;
    localparam COUNT_BITS = $clog2(WORDS + 1), BYTE_BITS = $clog2(WORD_BYTES + 1), INDEX_BITS = $clog2(BYTES + 1);
    localparam LAST_BYTE = WORD_BYTES - 1;
    localparam IDLE = 3'd0, FETCH = 3'd1, SKIP = 3'd2, ZEROS = 3'd3, FETCH_WORD = 3'd4, WORD = 3'd5;

    reg [7:0] memory [0:BYTES];                   // one more: read, and not used, after the longest body
    reg [7:0] read;
    reg [PLACE_BITS-1:0] pointer = 0, left = 0;
    wire first = place == 0;
    wire keep = first ? !busy : open;
    initial open = 0;
    always @(posedge clk) begin
        if (body_valid && first) open <= !busy;
        if (body_valid && keep && place < BYTES) memory[place[INDEX_BITS-1:0]] <= body;
        read <= memory[pointer[INDEX_BITS-1:0]];
    end

    reg [2:0] state = IDLE;
    reg [COUNT_BITS-1:0] due = 0;                 // words of the frame still to come
    reg [7:0] zeros = 0;
    reg pair = 0, tail = 0;                       // a word follows; nothing but zeros follows
    reg [BYTE_BITS-1:0] bytes = 0;
    reg [8*WORD_BYTES-1:0] value = 0;
    wire [8*WORD_BYTES-1:0] whole = {read, value} >> 8;
    initial begin word_valid = 0; word = 0; end
    always @(posedge clk) begin
        word_valid <= 0;
        case (state)
            FETCH: state <= SKIP;
            SKIP: begin
                state <= ZEROS;
                tail <= left == 0;
                zeros <= read;
                pair <= read != 8'hff;
                if (left != 0) begin
                    left <= left - 1'b1;
                    pointer <= pointer + 1'b1;
                end
            end
            ZEROS:
                if (tail || zeros != 0) begin
                    zeros <= zeros - 1'b1;
                    word <= 0;
                    word_valid <= 1;
                end else if (pair) begin
                    bytes <= LAST_BYTE[BYTE_BITS-1:0];
                    state <= WORD;
                end else state <= SKIP;
            FETCH_WORD: state <= WORD;
            WORD: begin
                value <= whole;
                pointer <= pointer + 1'b1;
                left <= left - (left != 0);
                if (left == 0) state <= FETCH;
                else if (bytes != 0) begin
                    bytes <= bytes - 1'b1;
                    state <= FETCH_WORD;
                end else begin
                    word <= whole[WORD_BITS-1:0];
                    word_valid <= 1;
                    state <= FETCH;
                end
            end
            default:
                if (start) begin
                    pointer <= 0;
                    left <= length;
                    due <= WORDS;
                    state <= FETCH;
                end
        endcase
        if (word_valid) due <= due - 1'b1;
        if (state != IDLE && (due == 0 || (due == 1 && word_valid))) begin
            word_valid <= 0;
            state <= IDLE;
        end
        if (reset) begin
            state <= IDLE;
            word_valid <= 0;
        end
    end
endmodule
