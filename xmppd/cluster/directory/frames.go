package directory

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Kinds of frames. All begin with the account.
const (
	kindPut      = 1 // sessions of the sender
	kindAgain    = 2 // the same, and they were there before
	kindAsk      = 3
	kindAnswer   = 4 // an entry
	kindView     = 5 // an entry
	kindConflict = 6 // a resource
	kindWrong    = 7 // the sender does not have what it was addressed for; the full address
	kindEcho     = 8 // in the place of the account, a number: to be sent back
	kindEchoed   = 9
	kindTell     = 10 // in the place of the account nothing: partitions, whose accounts the sender wants to be told of
)

func head(kind byte, account string) []byte { return appendString([]byte{kind}, account) }

func putFrame(account string, s []Session, again bool) []byte {
	kind := byte(kindPut)
	if again {
		kind = kindAgain
	}
	return appendSessions(head(kind, account), s)
}

func askFrame(account string) []byte             { return head(kindAsk, account) }
func answerFrame(account string, e Entry) []byte { return appendEntry(head(kindAnswer, account), e) }
func viewFrame(account string, e Entry) []byte   { return appendEntry(head(kindView, account), e) }

// tellFrame asks for what the receiver has of some partitions.
func tellFrame(parts []int) []byte {
	b := binary.AppendUvarint(head(kindTell, ""), uint64(len(parts)))
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(p)) //nolint:gosec // small
	}
	return b
}

func cutParts(b []byte) (parts map[uint64]bool, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > partitions {
		return nil, errShort
	}
	parts, b = make(map[uint64]bool), b[size:]
	for range n {
		p, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, errShort
		}
		parts[p], b = true, b[size:]
	}
	return parts, nil
}

func echoFrame(kind byte, id uint64) []byte { return head(kind, strconv.FormatUint(id, 36)) }

func conflictFrame(account, resource string) []byte {
	return appendString(head(kindConflict, account), resource)
}

// Wrong tells a server that this one is not where stanzas for an address of an account belong, so that
// it asks again.
func (d *Directory) Wrong(server, account, address string) {
	d.locked(func(o *outgoing) { o.send(server, appendString(head(kindWrong, account), address)) })
}

// Receive takes a frame of another server. It doesn't wait.
func (d *Directory) Receive(from string, frame []byte) {
	if err := d.receive(from, frame); err != nil {
		d.cfg.Log.Error("directory: frame can't be read", "server", from, "error", err)
	}
}

func (d *Directory) receive(from string, frame []byte) error {
	if len(frame) == 0 {
		return errShort
	}
	account, rest, err := cutString(frame[1:])
	if err != nil {
		return err
	}
	switch kind := frame[0]; kind {
	case kindPut, kindAgain:
		list, _, err := cutSessions(rest)
		if err != nil {
			return err
		}
		d.locked(func(o *outgoing) { d.put(o, from, account, list, kind == kindAgain) })
	case kindAsk:
		d.locked(func(o *outgoing) {
			e := d.shard[account].with(d.cfg.Self, d.own[account]) // of itself it knows best
			o.send(from, answerFrame(account, e))
		})
	case kindAnswer, kindView:
		e, _, err := cutEntry(rest)
		if err != nil {
			return err
		}
		d.locked(func(o *outgoing) {
			// What the first owner answers it would say of itself: later news come behind it.
			d.view(o, from, account, e)
			if kind == kindAnswer {
				d.answered(o, account, from, e)
			}
		})
	case kindConflict:
		resource, _, err := cutString(rest)
		if err != nil {
			return err
		}
		d.cfg.Conflict(account, resource)
	case kindEcho, kindEchoed:
		id, err := strconv.ParseUint(account, 36, 64)
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		d.locked(func(o *outgoing) {
			if kind == kindEcho {
				o.send(from, echoFrame(kindEchoed, id))
			} else {
				d.echoed(o, id, from)
			}
		})
	case kindTell:
		parts, err := cutParts(rest)
		if err != nil {
			return err
		}
		d.locked(func(o *outgoing) {
			for account := range d.own {
				if parts[part(account)] {
					o.send(from, putFrame(account, d.own[account], true))
					d.noteTold(account, from)
				}
			}
		})
	case kindWrong:
		address, _, err := cutString(rest)
		if err != nil {
			return err
		}
		d.Forget(account)
		if d.cfg.Stale != nil {
			d.cfg.Stale(address)
		}
	default:
		return fmt.Errorf("%w: %d", errKind, kind)
	}
	return nil
}
