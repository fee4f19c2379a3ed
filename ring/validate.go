package ring

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a document that Validate holds.
const (
	// A document with a running change must fit into one stanza (256 KiB on
	// ejabberd and Prosody, RFC 6120 asks for 10 kB at least).
	maxPartitions = 1 << 13
	maxReplicas   = 7
	maxMembers    = 4096
	maxWeight     = 1000
	maxJID        = 3071 // bytes, RFC 7622 section 3.1
	maxZone       = 256  // bytes
)

// Validate says what is wrong with a document.
func (d *Document) Validate() error {
	if d.Version < 1 || d.Version > FormatVersion {
		return fmt.Errorf("ring document has format version %d, this program writes %d", d.Version, FormatVersion)
	}
	if !isUUID(d.Cluster) {
		return fmt.Errorf("ring document: cluster %q is no UUID", d.Cluster)
	}
	if d.Epoch == 0 {
		return errors.New("ring document: epoch 0; epochs count from 1")
	}
	if d.Partitions < 1 || d.Partitions > maxPartitions {
		return fmt.Errorf("ring document: %d partitions; 1 to %d are possible", d.Partitions, maxPartitions)
	}
	if d.Replicas < 1 || d.Replicas > maxReplicas {
		return fmt.Errorf("ring document: %d replicas; 1 to %d are possible", d.Replicas, maxReplicas)
	}
	if err := d.validateMembers(); err != nil {
		return err
	}
	if err := d.validateMeta(d.Meta); err != nil {
		return fmt.Errorf("ring document: meta group: %w", err)
	}
	if err := d.validateTable(d.Table); err != nil {
		return fmt.Errorf("ring document: table: %w", err)
	}
	if d.LastID != 0 && d.LastID < d.lastID() {
		return fmt.Errorf("ring document: last id %d, but there is a member %d", d.LastID, d.lastID())
	}
	if err := d.validateChange(); err != nil {
		return fmt.Errorf("ring document: %w", err)
	}
	if err := d.validateIndexes(); err != nil {
		return fmt.Errorf("ring document: %w", err)
	}
	if err := d.validateAccess(); err != nil {
		return fmt.Errorf("ring document: %w", err)
	}
	return nil
}

func (d *Document) validateMembers() error {
	if len(d.Members) == 0 || len(d.Members) > maxMembers {
		return fmt.Errorf("ring document: %d members; 1 to %d are possible", len(d.Members), maxMembers)
	}
	jids, stores := make(map[string]uint64), make(map[string]uint64)
	var last uint64
	for _, m := range d.Members {
		if m.ID <= last {
			return fmt.Errorf("ring document: member %d after %d; ids ascend from 1", m.ID, last)
		}
		last = m.ID
		if err := m.validate(); err != nil {
			return fmt.Errorf("ring document: member %d: %w", m.ID, err)
		}
		// A member whose disk was lost leaves while its successor, under the same
		// JID, joins with another store.
		if other, dup := jids[m.JID]; dup && m.State != Leaving {
			return fmt.Errorf("ring document: members %d and %d have the same JID %s", other, m.ID, m.JID)
		}
		if other, dup := stores[m.Store]; dup {
			return fmt.Errorf("ring document: members %d and %d have the same store %s; a data directory was copied", other, m.ID, m.Store)
		}
		stores[m.Store] = m.ID
		if m.State != Leaving {
			jids[m.JID] = m.ID
		}
	}
	return nil
}

func (m *Member) validate() error {
	bare, resource, ok := strings.Cut(m.JID, "/")
	if !ok || bare == "" || resource == "" || len(m.JID) > maxJID || !printable(m.JID) {
		return fmt.Errorf("%q is no full JID", m.JID)
	}
	if !isUUID(m.Store) {
		return fmt.Errorf("store %q is no UUID", m.Store)
	}
	if len(m.Zone) > maxZone || !printable(m.Zone) {
		return fmt.Errorf("zone %q is too long or not printable", m.Zone)
	}
	if m.Weight < 0 || m.Weight > maxWeight {
		return fmt.Errorf("weight %d; 0 to %d are possible", m.Weight, maxWeight)
	}
	switch m.State {
	case Active, Joining, Leaving:
		return nil
	default:
		return fmt.Errorf("unknown state %q", m.State)
	}
}

func (d *Document) validateTable(table [][]uint64) error {
	if len(table) != d.Partitions {
		return fmt.Errorf("%d rows for %d partitions", len(table), d.Partitions)
	}
	for p, row := range table {
		if len(row) == 0 || len(row) > maxReplicas+1 {
			return fmt.Errorf("partition %d has %d replicas", p, len(row))
		}
		if err := d.validateRow(row); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

func (d *Document) validateRow(row []uint64) error {
	for i, id := range row {
		if _, ok := d.Member(id); !ok {
			return fmt.Errorf("%d is no member", id)
		}
		for _, other := range row[:i] {
			if other == id {
				return fmt.Errorf("member %d occurs twice", id)
			}
		}
	}
	return nil
}

// isUUID accepts the lower-case text form of RFC 9562 section 4.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
