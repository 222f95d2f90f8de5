package hub

// inbox is the sink of a client of the model: what the senders pushed and the
// client has not read.
type inbox struct {
	stream   *Stream
	messages [][]byte
	probes   []*Probe // one for each message, or nil
}

// Send implements Sink.
func (b *inbox) Send(m *[]byte, p *Probe) error {
	b.messages, b.probes = append(b.messages, *m), append(b.probes, p)
	return nil
}

// idle tells that nothing is under way to the client.
func (b *inbox) idle() bool {
	return b == nil || len(b.messages) == 0 && !b.stream.claimed && b.stream.rest == nil && b.stream.opened == nil
}

// openStream opens a stream that is pulled from, or one that is pushed to.
func (c *client) openStream() *Stream {
	if c.world.batches == nil {
		return c.world.hub.Open(Client{Acks: c.acks}, nil)
	}
	c.inbox = &inbox{}
	c.inbox.stream = c.world.hub.Open(Client{Acks: c.acks}, c.inbox)
	return c.inbox.stream
}

// next is the next frame for a client. The model's frames fit into one message.
func (c *client) next() [][]byte {
	if c.inbox == nil {
		messages, _ := c.stream.Next(c.world.now)
		return messages
	}
	c.stream.Remind(c.world.now)
	if len(c.inbox.messages) == 0 {
		return nil
	}
	m := c.inbox.messages[:1]
	if p := c.inbox.probes[0]; p != nil {
		p.Taken()
	}
	c.inbox.messages, c.inbox.probes = c.inbox.messages[1:], c.inbox.probes[1:]
	return m
}

// send lets a sender go on: it hands over one of the frames that it claimed, or
// claims others.
func (w *world) send(sender int) {
	b := w.batches[sender]
	for i := range b {
		if b[i].stream != nil && b[i].messages == nil && (b[i].update != nil || b[i].opened != nil) {
			b[i].deliver()
			b[i].update, b[i].opened = nil, nil
			return
		}
		if len(b[i].messages) > 0 && b[i].stream.hasRoom() {
			b[i].deliver()
			return
		}
	}
	w.batches[sender] = w.hub.turn(b, true, w.now)
}

// sendAll lets all senders go on until they have nothing to do.
func (w *world) sendAll() {
	for quiet := 0; w.batches != nil && quiet < 2; quiet++ {
		for i := range w.batches {
			for w.send(i); len(w.batches[i]) > 0; quiet = 0 {
				w.send(i)
			}
		}
	}
}
