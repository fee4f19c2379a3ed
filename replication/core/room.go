package core

// SetFull tells whether the disk is full: then proposals are refused and
// leadership is given away; reads go on.
func (c *Core) SetFull(full bool) {
	c.full = full
	if full {
		for _, g := range c.list {
			for _, p := range g.queue {
				c.pending -= int64(len(p.Cmd))
				c.answerWrite(p.Done, diskFull())
			}
			g.queue = nil
		}
	}
	c.roomChanged()
}

// SetLow tells whether there is so little room that the caller refuses clients'
// writes itself. Leadership is given away as by SetFull, but proposals are taken:
// where nobody has room the ring must still be changeable, or it could not get
// another member.
func (c *Core) SetLow(low bool) {
	c.low = low
	c.roomChanged()
}

// roomChanged gives leadership away at once, since writes are refused until
// that is done, and tells all peers, or those that have not heard of it would
// give it back.
func (c *Core) roomChanged() {
	for _, p := range c.peers {
		if len(p.buf) == 0 {
			c.openBatch(p)
		}
		p.urgent = true
	}
	if c.full || c.low {
		c.place()
	}
}
