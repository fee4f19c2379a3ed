// Package balance spreads clients over the servers of a cluster: each server tells the others, over
// the links, what it has to do, and a server that has more than others sends new clients to one of
// them (see-other-host, RFC 6120 section 4.9.3.19).
//
// What a server is told is a little old, and the clients that it has sent away since are not in it. So each
// server counts those that it has sent to another one and that have not got there: a client says
// which server has sent it, and the reports say how many have come from whom. Of two servers drawn at random the
// one with less takes the client, so that several servers that send away at once don't all choose the same one.
//
// A client that was sent here is not sent on, whatever the load: there are no circles. Only servers that are
// connected, have reported lately, take clients and have an address for them are chosen.
package balance
