package c2s

import (
	"time"

	"github.com/rosterdb/rosterdb/xmppd/netio"
)

// rest makes the stream unread for a while. Its peer notices when the kernel's buffers are full.
func (st *boundStream) rest(d time.Duration) {
	st.paused = st.srv.now() + int64(d)
	st.begun = 0 // it is not the peer that is slow
	time.AfterFunc(d, st.conn.Wake)
}

// resting reports whether the stream must not be read yet.
func (st *boundStream) resting() bool {
	if st.paused != 0 && st.srv.now() >= st.paused {
		st.paused = 0
	}
	return st.paused != 0
}

// wait is what Ready returns when the input is used up: the rest of an unfinished stanza has to
// come in time. While there is one, one timer looks after it, however often it is added to.
func (st *boundStream) wait(stanzas int) netio.Next {
	if stanzas > 0 || st.end == 0 {
		st.begun = 0
	}
	if st.end == 0 || st.srv.cfg.Faults.NoPace {
		return netio.Wait
	}
	now, pace := st.srv.now(), &st.srv.settings.Load().Pace
	limit := pace.Stanza.Nanoseconds()
	if st.begun == 0 {
		st.begun = now
	}
	if now >= st.begun+limit {
		st.srv.metrics.unfinished.Inc()
		return st.done(pace.slowPoke())
	}
	if st.checkAt <= now {
		st.checkAt = st.begun + limit
		time.AfterFunc(time.Duration(st.checkAt-now), st.conn.Wake)
	}
	return netio.Wait
}
