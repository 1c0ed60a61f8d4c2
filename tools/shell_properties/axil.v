    // The rules of AXI4-Lite for a slave: answers stay and do not change, one for each request, and soon.
    localparam SOON = 4;
    wire aw = s_axi_awvalid && s_axi_awready, w = s_axi_wvalid && s_axi_wready, b = s_axi_bvalid && s_axi_bready;
    wire ar = s_axi_arvalid && s_axi_arready, r = s_axi_rvalid && s_axi_rready;
    reg resetting = 1, b_waiting = 0, r_waiting = 0;
    reg [1:0] bresp = 0, rresp = 0;
    reg [31:0] rdata = 0;
    reg [7:0] addresses = 0, datas = 0, reads = 0;  // taken and not answered
    reg [3:0] write_age = 0, read_age = 0;
    always @(posedge s_axi_aclk) begin
        resetting <= !s_axi_aresetn;
        b_waiting <= s_axi_aresetn && s_axi_bvalid && !s_axi_bready;
        r_waiting <= s_axi_aresetn && s_axi_rvalid && !s_axi_rready;
        {bresp, rresp, rdata} <= {s_axi_bresp, s_axi_rresp, s_axi_rdata};
        addresses <= s_axi_aresetn ? addresses + aw - b : 8'd0;
        datas <= s_axi_aresetn ? datas + w - b : 8'd0;
        reads <= s_axi_aresetn ? reads + ar - r : 8'd0;
        write_age <= s_axi_aresetn && addresses != 0 && datas != 0 && !s_axi_bvalid ? write_age + 1'b1 : 4'd0;
        read_age <= s_axi_aresetn && reads != 0 && !s_axi_rvalid ? read_age + 1'b1 : 4'd0;
    end
    always @* begin
        if (b_waiting) b_stays: assert (s_axi_bvalid);
        if (b_waiting) b_stable: assert (s_axi_bresp == bresp);
        if (r_waiting) r_stays: assert (s_axi_rvalid);
        if (r_waiting) r_stable: assert (s_axi_rresp == rresp && s_axi_rdata == rdata);
        if (resetting) quiet_after_reset: assert (!s_axi_bvalid && !s_axi_rvalid);
        if (s_axi_bvalid) one_answer_a_write: assert (addresses != 0 && datas != 0);
        if (s_axi_rvalid) one_answer_a_read: assert (reads != 0);
        write_is_answered: assert (write_age < SOON);
        read_is_answered: assert (read_age < SOON);
        never_okay_exclusive: assert (s_axi_bresp[0] == 0 && s_axi_rresp[0] == 0);
    end
