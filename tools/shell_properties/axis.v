    // The rules of AXI4-Stream for the side that answers, and one answer for each packet that was begun.
    wire taken = s_axis_tvalid && s_axis_tready, given = m_axis_tvalid && m_axis_tready;
    reg resetting = 1, waiting = 0, inside_packet = 0, user = 0;
    reg [OUT_BITS-1:0] data = 0;
    reg [7:0] open = 0;                         // packets begun and not answered
    always @(posedge aclk) begin
        resetting <= !aresetn;
        waiting <= aresetn && m_axis_tvalid && !m_axis_tready;
        data <= m_axis_tdata;
        user <= m_axis_tuser;
        inside_packet <= aresetn && (taken ? !s_axis_tlast : inside_packet);
        open <= aresetn ? open + (taken && !inside_packet) - given : 8'd0;
    end
    always @* begin
        if (waiting) stays: assert (m_axis_tvalid);
        if (waiting) stable: assert (m_axis_tdata == data && m_axis_tuser == user);
        if (resetting) quiet_after_reset: assert (!m_axis_tvalid);
        if (m_axis_tvalid) one_answer_a_packet: assert (open != 0);
        if (m_axis_tvalid) last: assert (m_axis_tlast);
    end
