// Requests from the host: undoes COBS, checks length and CRC, and hands out whole requests only (PROTOCOL.md).
//
// Whatever is damaged is dropped at the next delimiter; the frame after that is received again.
module frame_receiver #(
    parameter OBSERVATION_BYTES = 4
) (
    input  wire                           clk,
    input  wire                           reset,
    input  wire                           byte_valid,
    input  wire                           byte_error,
    input  wire [7:0]                     data,
    output reg                            identify,     // one clock: a good identify request
    output reg                            infer,        // one clock: a good inference request
    output reg                            rejected,     // one clock: a damaged frame ended
    output reg  [15:0]                    sequence,     // of the request
    output reg  [8*OBSERVATION_BYTES-1:0] observation   // of an inference request, first byte lowest
);
    localparam IDENTIFY = 8'h01, INFER = 8'h02;
    localparam HEADER = 3, CHECK = 4;
    localparam IDENTIFY_LENGTH = HEADER + CHECK;
    localparam INFER_LENGTH = HEADER + OBSERVATION_BYTES + CHECK;
    localparam WIDTH = $clog2(INFER_LENGTH + 2);

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

    initial begin identify = 0; infer = 0; rejected = 0; sequence = 0; observation = 0; end

    always @(posedge clk) begin
        identify <= delimiter && whole && kind == IDENTIFY && length == IDENTIFY_LENGTH;
        infer <= delimiter && whole && kind == INFER && length == INFER_LENGTH;
        rejected <= delimiter && started && !(
            whole && (kind == IDENTIFY && length == IDENTIFY_LENGTH || kind == INFER && length == INFER_LENGTH)
        );

        if (byte_valid || byte_error) started <= 1;
        if (byte_error) damaged <= 1;
        if (is_code) begin
            left <= data - 1'b1;
            zero_due <= data != 8'hff;
        end
        if (is_literal) left <= left - 1'b1;
        if (take) begin
            if (length == 0) kind <= payload;
            if (length == 1) sequence[7:0] <= payload;
            if (length == 2) sequence[15:8] <= payload;
            if (length >= HEADER && length < HEADER + OBSERVATION_BYTES)
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
