"""An iCE40 bitstream read back: which look-up tables, flip-flops, carries and wires it makes of the chip.

What the tiles' bits mean comes from the chip database beside nextpnr (:mod:`.chip`), the bits from IceStorm's
``iceunpack`` (:mod:`.configuration`); :mod:`.decode` makes a netlist of both. Format: Project IceStorm's documentation.
"""
