// Package version holds the one version that all programs of RosterDB tell.
package version

// Version is the version of ringctl, xmppd and datanode, in the form of
// semantic versioning. Servers tell it by XEP-0092, data nodes in presence.
const Version = "0.1.0"
