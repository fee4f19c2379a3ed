// Package b64 is the base64 of RFC 4648, section 4, with padding: what encoding/base64 calls
// StdEncoding, byte for byte and error for error, in less than half the time. Every value of the store
// and every batch between data nodes crosses it twice.
//
// Both directions look several characters up at once; what is odd, such as the end, an ignored line
// break or a character that does not belong there, is left to encoding/base64.
package b64
