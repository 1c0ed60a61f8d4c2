// Requests from the host: undoes COBS, checks length and CRC, and hands out whole requests only (PROTOCOL.md).
//
// Whatever is damaged is dropped at the next delimiter; the frame after that is received again.
module frame_receiver #(
    parameter OBSERVATION_BYTES = 4,                    // of a coded one: at most
    parameter CODED = 0,                                // 1: inference requests carry run lengths, which leave at once
    parameter KEPT_BYTES = CODED ? 1 : OBSERVATION_BYTES,
    parameter WIDTH = $clog2(OBSERVATION_BYTES + 9)     // of a length: header and check, and one too many
) (
    input  wire                           clk,
    input  wire                           reset,
    input  wire                           byte_valid,
    input  wire                           byte_error,
    input  wire [7:0]                     data,
    output reg                            identify,     // one clock: a good identify request
    output reg                            infer,        // one clock: a good inference request
    output reg                            rejected,     // one clock: a damaged frame ended
    output reg  [15:0]                    number,       // of the request
    output reg  [8*KEPT_BYTES-1:0]        observation,  // of an inference request, first byte lowest; if not coded
    output wire                           body_valid,   // a byte of the observation, or of the check behind it
    output wire [7:0]                     body,
    output wire [WIDTH-1:0]               place,        // of that byte
    output reg  [WIDTH-1:0]               body_length   // with `infer`: bytes of the observation
);
    localparam IDENTIFY = 8'h01, INFER = CODED ? 8'h03 : 8'h02;
    localparam HEADER = 3, CHECK = 4;
    localparam IDENTIFY_LENGTH = HEADER + CHECK;
    localparam INFER_LENGTH = HEADER + OBSERVATION_BYTES + CHECK;

    reg [7:0]       kind = 0;
    reg [7:0]       left = 0;       // data bytes left in the COBS group; 0: a code byte is next
    reg [WIDTH-1:0] length = 0;     // payload bytes so far; sticks at one too many
    reg             started = 0;    // a byte came since the last delimiter
    reg             zero_due = 0;   // the last group stands for a zero, should another one follow
    reg             damaged = 1;    // until the first delimiter: we may have been switched on in mid-frame

    wire delimiter  = byte_valid && data == 0;
    wire is_code    = byte_valid && data != 0 && left == 0;
    wire is_literal = byte_valid && data != 0 && left != 0;
    wire [7:0] payload = is_literal ? data : 8'h00;
    wire take = is_literal || (is_code && zero_due);

    wire crc_good;
    crc32 check (
        .clk(clk), .clear(reset || delimiter), .valid(take), .data(payload), .busy(), .good(crc_good), .state()
    );

    wire whole = !damaged && left == 0 && crc_good;
    wire is_identify = whole && kind == IDENTIFY && length == IDENTIFY_LENGTH;
    wire is_infer = whole && kind == INFER &&
        (CODED ? length >= HEADER + CHECK && length <= INFER_LENGTH : length == INFER_LENGTH);

    assign body_valid = take && length >= HEADER;
    assign body = payload;
    assign place = length - HEADER;

    initial begin identify = 0; infer = 0; rejected = 0; number = 0; observation = 0; body_length = 0; end

    always @(posedge clk) begin
        identify <= delimiter && is_identify;
        infer <= delimiter && is_infer;
        rejected <= delimiter && started && !is_identify && !is_infer;
        if (delimiter) body_length <= length - HEADER - CHECK;

        if (byte_valid || byte_error) started <= 1;
        if (byte_error) damaged <= 1;
        if (is_code) begin
            left <= data - 1'b1;
            zero_due <= data != 8'hff;
        end
        if (is_literal) left <= left - 1'b1;
        if (take) begin
            if (length == 0) kind <= payload;
            if (length == 1) number[7:0] <= payload;
            if (length == 2) number[15:8] <= payload;
            if (!CODED && length >= HEADER && length < HEADER + OBSERVATION_BYTES)
                observation <= {payload, observation} >> 8;
            if (length != INFER_LENGTH + 1) length <= length + 1'b1;
        end
        if (delimiter || reset) begin
            left <= 0;
            length <= 0;
            started <= 0;
            zero_due <= 0;
            damaged <= reset;
        end
    end
endmodule
