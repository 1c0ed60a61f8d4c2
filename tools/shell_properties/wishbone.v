    // The rules of Wishbone B4, classic cycles, for a slave: an answer only to a request, one for each, and soon.
    localparam SOON = 4;
    wire request = cyc_i && stb_i, answer = ack_o || err_o;
    reg resetting = 1, requested = 0, answered = 0;
    reg [3:0] age = 0;
    always @(posedge clk_i) begin
        resetting <= rst_i;
        requested <= request && !answer && !rst_i;
        answered <= answer;
        age <= request && !answer && !rst_i ? age + 1'b1 : 4'd0;
    end
    always @* begin
        if (answer) only_to_a_request: assert (request);
        if (answer) asked_before: assert (requested);
        if (answered) one_answer_a_request: assert (!answer);
        ack_or_err: assert (!(ack_o && err_o));
        if (resetting) quiet_after_reset: assert (!answer);
        is_answered: assert (age < SOON);
    end
