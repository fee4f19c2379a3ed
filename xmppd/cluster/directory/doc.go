// Package directory knows which server has the sessions of an account. It is in memory only, and
// sharded: two servers are the owners of an account (shards), whoever has sessions of it tells them,
// and whoever wants to reach it asks. What was asked for is remembered (the cache), and corrected by
// those who are addressed in error.
//
// A server that has sessions of an account is told where the others are, whenever that changes (a
// view): it can decide at once which of all sessions gets a message.
//
// Nothing here is proof. The server that an answer names has the last word on what it has; it is
// connected when its holdings are listed, since they are dropped when its link is cut, and told again
// when there is a new one. While servers have just come or gone, and owners may not have been told
// everything yet, all servers are asked instead of the owner.
package directory
