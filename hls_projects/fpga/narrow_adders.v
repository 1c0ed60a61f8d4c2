// Adders of up to `LIMIT bits, and those with a constant operand, as plain gates: LUTs do them in less room
// than carry chains, whose ends cost cells of their own. Applied between synthesis' coarse and fine steps.
(* techmap_celltype = "$alu" *)
module narrow_alu (A, B, CI, BI, X, Y, CO);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CONSTMSK_A_ = 0;
    parameter _TECHMAP_CONSTMSK_B_ = 0;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    input CI, BI;
    output [Y_WIDTH-1:0] X, Y, CO;

    localparam CONSTANT = &_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_;
    wire _TECHMAP_FAIL_ = Y_WIDTH > `LIMIT && !CONSTANT;

    // A negation has an operand without bits.
    wire [Y_WIDTH-1:0] left, operand, right;
    generate
        if (A_WIDTH == 0) begin : no_a
            assign left = 0;
        end else begin : some_a
            \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend (.A(A), .Y(left));
        end
        if (B_WIDTH == 0) begin : no_b
            assign operand = 0;
        end else begin : some_b
            \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend (.A(B), .Y(operand));
        end
    endgenerate
    assign right = operand ^ {Y_WIDTH{BI}};
    assign X = left ^ right;

    genvar i;
    generate
        for (i = 0; i < Y_WIDTH; i = i + 1) begin : bits
            wire carry = i == 0 ? CI : CO[i == 0 ? 0 : i - 1];
            assign Y[i] = X[i] ^ carry;
            assign CO[i] = (left[i] & right[i]) | (carry & (left[i] | right[i]));
        end
    endgenerate
endmodule
