// Command kvchild lets a key-value load generator drive a RosterDB cluster: it
// speaks the generator's child protocol on stdin and stdout, and each key is a
// root object of its own.
//
//	request: ID G KEY 0\n        ID P KEY LEN\n<LEN bytes>        ID D KEY 0\n
//	answer:  ID OK LEN\n<bytes>  ID NF 0\n                        ID ER LEN\n<text>
//
// The cluster is described by the JSON file named by ROSTERDB_DEV, as printed by
// `ringctl dev up -o json`. It ends when stdin closes.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

const (
	dialTimeout = 30 * time.Second
	opTimeout   = 30 * time.Second
	pipeBuffer  = 256 << 10 // bytes
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("kvchild: ")
	if err := run(os.Getenv("ROSTERDB_DEV"), os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(dev string, in io.Reader, out io.Writer) error {
	if dev == "" {
		return errors.New("ROSTERDB_DEV is not set; let it name the file that `ringctl dev up -o json` printed")
	}
	cfg, err := appclient.FromDev(dev)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	c, err := appclient.Dial(ctx, cfg)
	cancel()
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // never fails
	return serve(c, bufio.NewReaderSize(in, pipeBuffer), out)
}

// serve answers requests until in ends, many at a time.
func serve(c *appclient.Client, in *bufio.Reader, out io.Writer) error {
	a := newAnswers(out)
	p := newPool(func(r request) { a.answer(r.id, do(c, r)) })
	defer func() {
		p.close()
		a.close()
	}()
	for {
		r, err := readRequest(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		p.submit(r)
	}
}

// result is what an answer says.
type result struct {
	status string
	value  []byte
}

func do(c *appclient.Client, r request) result {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	root := c.Root(r.key)
	var err error
	switch r.op {
	case 'G':
		var o *appclient.Object
		if o, err = root.Get(ctx, ""); err == nil {
			return result{"OK", o.Value}
		}
		if errors.Is(err, appclient.ErrNotFound) {
			return result{"NF", nil}
		}
	case 'P':
		_, err = root.Put(ctx, "", r.value)
	case 'D':
		err = root.Delete(ctx, "")
	default:
		err = fmt.Errorf("unknown operation %q", r.op)
	}
	if err != nil {
		return result{"ER", []byte(err.Error())}
	}
	return result{"OK", nil}
}
