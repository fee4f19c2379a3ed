// Package c2s is the server's side of client-to-server streams: listening connections become
// negotiated streams (TLS, SASL, resource binding), then sessions whose stanzas go to the router.
//
// # Negotiation
//
// mellium.im/xmpp drives it: xmpp.ReceiveSession keeps the state of the stream (Secure, Authn,
// Ready) and asks a Negotiator for each step. The Negotiator is ours, because v0.22.0's own one
// can't be told several things that RFC 6120 wants and this server needs:
//
//   - its token reader has no limit of size, depth or attributes and lets through comments,
//     processing instructions and DTDs; ours reads whole elements with internal/stanza's scanner,
//     so the limits and the restricted-XML rules are the same before and after login;
//   - white space between elements and a second attempt at SASL or registration end its stream;
//     errors of the stream header end it without a stream error;
//   - it never compares the header's "from" with the user that has authenticated;
//   - SASLServer can't be given stored keys (mellium.im/sasl's SCRAM server wants the salted
//     password, which is as good as the password) and panics when it is asked for channel binding;
//     its bind answers errors as results.
//
// How headers and elements travel is a Framing: TCP's is here, others (package websocket, package
// bosh) use Server.Negotiate, Stream and session.Transport and so run the same code.
//
// # Login
//
// Each SASL mechanism is a small type with one step function (mechanism.go): SCRAM with stored keys,
// bound to TLS or not, PLAIN, and EXTERNAL with client certificates. Credentials come from an
// Authenticator.
//
// # After binding
//
// The stream changes hands without losing a byte: the negotiation reads from a buffer that the
// stream's loop takes over. From there on one goroutine reads the stream, with a pooled buffer
// that it holds only while there are bytes, and routes each stanza. Output goes through the
// session's Outbox, written without blocking by whoever made it non-empty, once per run of input.
package c2s
