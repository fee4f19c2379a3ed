// Package admin is the operator's side of a cluster: it logs in as an operator,
// watches the presence of the data nodes and speaks the administration IQs with
// them (docs/protocol.md, "Administration"). ringctl stands on it.
package admin
