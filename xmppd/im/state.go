package im

import "github.com/rosterdb/rosterdb/xmppd/account"

// verb is a type of presence that manages subscriptions (RFC 6121 section 3).
type verb string

const (
	subscribe    verb = "subscribe"
	subscribed   verb = "subscribed"
	unsubscribe  verb = "unsubscribe"
	unsubscribed verb = "unsubscribed"
)

// outcome is what a verb does besides changing an item.
type outcome struct {
	changed bool // the item is different: store it
	push    bool // the owner's clients have to hear of it
	step    account.Step
	pass    bool // outbound: send it on to the contact; inbound: deliver it to the owner
	approve bool // inbound: the server approves on behalf of the owner, whose presence starts
	// The owner's presence towards the contact starts or ends.
	start, stop bool
}

// outbound applies a verb that the owner sends to the contact to the owner's item
// (RFC 6121 sections 3.1.2, 3.1.5, 3.2.2, 3.3.2, 3.4.2 and appendix A.2).
func outbound(it *account.Item, v verb) (o outcome) {
	to, from := it.To(), it.From()
	switch v {
	case subscribe:
		o.pass = true
		if !to && !it.Ask {
			it.Ask, it.Listed, o.changed, o.push = true, true, true, true
		}
	case unsubscribe:
		o.pass = true
		if to || it.Ask {
			it.Ask, o.changed, o.push = false, true, true
			it.SetSub(false, from)
		}
	case subscribed:
		switch {
		case from:
		case it.Request != nil:
			it.Request, it.Listed = nil, true
			it.SetSub(to, true)
			o = outcome{changed: true, push: true, pass: true, start: true}
		case !it.Approved:
			it.Approved, it.Listed = true, true
			o = outcome{changed: true, push: true}
		}
	case unsubscribed:
		asked := from || it.Request != nil
		if asked || it.Approved {
			o = outcome{changed: true, push: from || it.Approved, pass: asked, stop: from}
			it.Request, it.Approved = nil, false
			it.SetSub(to, false)
		}
	}
	return o
}

// inbound applies a verb of the contact to the owner's item (RFC 6121 sections 3.1.3, 3.1.6,
// 3.2.3, 3.3.3, 3.4.2 and appendix A.3). request is the stanza, kept until the owner answers.
func inbound(it *account.Item, v verb, request []byte) (o outcome) {
	to, from := it.To(), it.From()
	switch v {
	case subscribe:
		switch {
		case from:
			o.approve = true
		case it.Approved:
			it.Request = nil
			it.SetSub(to, true)
			o = outcome{changed: true, push: true, approve: true}
		case it.Request == nil:
			it.Request = request
			o = outcome{changed: true, pass: true}
		}
	case unsubscribe:
		if from || it.Request != nil {
			o = outcome{changed: true, push: from, pass: true, stop: from}
			it.Request = nil
			it.SetSub(to, false)
		}
	case subscribed:
		if it.Ask && !to {
			it.Ask = false
			it.SetSub(true, from)
			o = outcome{changed: true, push: true, pass: true}
		}
	case unsubscribed:
		if to || it.Ask {
			it.Ask = false
			it.SetSub(false, from)
			o = outcome{changed: true, push: true, pass: true}
		}
	}
	return o
}
