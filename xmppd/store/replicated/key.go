package replicated

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// How owners and keys, which are bytes, become roots and paths, which are UTF-8
// without control characters and shorter. Both keep the order of the bytes:
//
//	root  "domain", or "@" and the owner
//	path  collection "/" and the key
//
// Of a byte a code of one to three characters is made (appendText). No code begins
// with two spaces, so what follows such is not of the key: two digits number the
// further parts of a large record, and "#" introduces the digest of a key that is too
// long, of which only the beginning is in the path. Such records have the key in
// their value, and so does the root of an owner that is too long (pathName).
const (
	domainRoot = "domain"
	apart      = "  "
	hashed     = apart + "#"
	digestSize = 43 // of SHA-256 in base64 without padding

	maxPlainKey   = 300 // bytes; in text three times as many, at most
	maxPlainOwner = 140

	// Of each root, before all collections.
	pathState = "!"      // see rootState
	pathName  = "!name"  // the owner, where the root has not all of it
	pathStage = "!stage" // and four digits: see staged.go
	pathID    = "!id"    // of the domain: what the data is; see identity
)

// appendText appends the text of bytes. Of two strings of bytes the texts have the
// same order, and the text of a beginning is a beginning of the text.
func appendText(dst, b []byte) []byte {
	for _, c := range b {
		switch {
		case c < 0x21:
			dst = append(dst, ' ', c+0x21)
		case c < 0x7e:
			dst = append(dst, c)
		case c < 0xdb:
			dst = append(dst, '~', c-0x7e+0x21)
		default:
			dst = append(dst, '~', '~', c-0xdb+0x21)
		}
	}
	return dst
}

// parseText is the inverse of appendText.
func parseText(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != ' ' && c != '~' {
			if c < 0x21 || c > 0x7d {
				return nil, badText(s)
			}
			out = append(out, c)
			continue
		}
		i++
		switch {
		case i == len(s):
			return nil, badText(s)
		case c == ' ' && s[i] >= 0x21 && s[i] < 0x42:
			out = append(out, s[i]-0x21)
		case c == '~' && s[i] >= 0x21 && s[i] < 0x7e:
			out = append(out, s[i]-0x21+0x7e)
		case c == '~' && s[i] == '~' && i+1 < len(s) && s[i+1] >= 0x21 && s[i+1] < 0x46:
			i++
			out = append(out, s[i]-0x21+0xdb)
		default:
			return nil, badText(s)
		}
	}
	return out, nil
}

func badText(s string) error {
	return fmt.Errorf("%w: %.80q is not the text of a key", store.ErrCorrupt, s)
}

// shortened appends the text of bytes, or of as many as limit allows and a digest.
func shortened(dst, b []byte, limit int) []byte {
	if len(b) <= limit {
		return appendText(dst, b)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.AppendEncode(append(appendText(dst, b[:limit]), hashed...), sum[:])
}

// rootOf is the root of an owner.
func rootOf(owner string) string {
	if owner == "" {
		return domainRoot
	}
	return string(shortened([]byte("@"), []byte(owner), maxPlainOwner))
}

// isShortened tells whether a root, or a path without what numbers its part, does
// not have all of its owner or key.
func isShortened(s string) bool {
	_, digest, found := strings.Cut(s, hashed)
	return found && len(digest) >= digestSize
}

// pathOf is the path of a record.
func pathOf(collection string, key []byte) string {
	dst := make([]byte, 0, len(collection)+1+len(key)+16)
	return string(shortened(append(append(dst, collection...), '/'), key, maxPlainKey))
}

// partPath is the path of a further part of a record, from 1.
func partPath(path string, part int) string { return fmt.Sprintf("%s%s%02d", path, apart, part) }

// cutPart splits the path of a further part into that of its record and its number;
// false for any other path.
func cutPart(path string) (record string, ok bool) {
	i := len(path) - len(apart) - 2
	if i < 0 || path[i:i+len(apart)] != apart {
		return path, false
	}
	return path[:i], true
}

// bounds are the paths between which the records of a range are, maybe with others
// of keys that are too long: their order is not that of their paths.
func bounds(collection string, r store.Range) (from, to string) {
	text := func(key []byte, more string) string {
		if len(key) <= maxPlainKey {
			more = ""
		}
		return string(appendText([]byte(collection+"/"), key[:min(len(key), maxPlainKey)])) + more
	}
	if r.To == nil {
		return text(r.From, hashed), collection + "0" // behind the slash
	}
	return text(r.From, hashed), text(r.To, hashed+"~")
}

// inRange tells whether a key is in a range.
func inRange(key []byte, r store.Range) bool {
	return string(key) >= string(r.From) && (r.To == nil || string(key) < string(r.To))
}
