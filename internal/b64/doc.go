// Package b64 is the base64 of RFC 4648, section 4, with padding: what encoding/base64 calls
// StdEncoding, byte for byte and error for error, many times faster. Every value of the store
// and every batch between data nodes crosses it twice.
//
// The work is done by github.com/emmansun/base64 with the processor's vector instructions. What it
// refuses is decoded again by encoding/base64, which has the last word on what is wrong where.
package b64
