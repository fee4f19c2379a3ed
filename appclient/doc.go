// Package appclient is the Go client of a RosterDB cluster: it reads and
// writes objects, grouped under root objects, with exactly-once effect.
//
// A client is an ordinary XMPP client. It finds the data nodes in its roster
// by their presence, fetches the ring document from any of them, and sends
// each operation straight to the node that leads the root's partition.
// Operations of many goroutines share stanzas; every method is safe for
// concurrent use.
//
//	c, err := appclient.Dial(ctx, appclient.Config{JID: "app@example.org", Password: pw})
//	…
//	defer c.Close()
//	cart := c.Root("cart/42")
//	version, err := cart.Put(ctx, "item/1", []byte("two apples"))
//	obj, err := cart.Get(ctx, "item/1")
//
// # How an operation ends
//
// Reads and writes are linearizable per root. A write that returns nil is
// durable on a majority of the partition's disks. Errors fall in kinds
// that call for different things, told apart by errors.Is; no error is of two:
//
//   - it was surely not applied: ErrUnavailable (ErrSettled and ErrFull say more), ErrOverloaded, ErrConflict,
//     ErrInvalid, ErrTooLarge, ErrDenied, ErrClosed, ErrReplaced;
//   - it may or may not have been applied, and may yet be: ErrUnknownOutcome.
//     Client.Status settles it;
//   - a read found nothing: ErrNotFound; a watch was away too long: ErrCompacted.
//
// The client retries by itself, under the operation's identity, until the
// context ends; a retry never applies twice. So give each call a
// context with a deadline.
//
// # More than one object
//
// Root.Batch and Root.Update are atomic on one root. Client.Batch, Scan, Roots,
// Query and Watch go over all partitions: each part of their work has the
// guarantees of one partition, and they say in their comments what order and
// consistency the whole has. docs/client.md is the overview.
//
// # Limits
//
// Names of roots have 1 to 512 bytes of UTF-8 without control characters, paths up to
// 1,024 bytes; values up to 1 MiB; an object up to 4,096 references. A batch has up to
// 1,024 mutations, each path once, with 4 MiB of keys, values and references in all, and
// 8 MiB as XML, where values take a third more and each of < > & ' " in a key four to six
// bytes. What is beyond is ErrTooLarge or, for names, ErrInvalid.
package appclient
