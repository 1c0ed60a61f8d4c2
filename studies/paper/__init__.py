"""``make paper``: the paper's figures, tables and claims, drawn again from policies of our own."""
