package muster

import (
	"fmt"
	"slices"
	"strings"
)

// Report is what the client knows, in lines for people: its server, the present
// outage, each registration that is alive and each view that is watched. It does
// no I/O. Programs read Status, Stats and views instead.
func (c *Client) Report() string {
	lines := []string{c.reportSelf()}
	if err := c.Status().Err; err != nil {
		lines = append(lines, "outage: "+strings.TrimPrefix(err.Error(), "muster: "))
	}
	lines = append(lines, c.reportRegistrations()...)
	lines = append(lines, c.reportViews()...)
	return strings.Join(lines, "\n")
}

func (c *Client) reportSelf() string {
	status := c.Status()
	text := strings.TrimSpace("client "+c.config.Name) + ": "
	switch {
	case c.config.static:
		return text + "no registry"
	case status.ClusterID == "":
		return text + "server " + status.Server + ", not reached yet"
	default:
		return text + "server " + status.Server + ", cluster " + status.ClusterID
	}
}

func (c *Client) reportRegistrations() []string {
	c.mu.Lock()
	sessions := make([]*session, 0, len(c.sessions))
	for s := range c.sessions {
		sessions = append(sessions, s)
	}
	c.mu.Unlock()
	lines := make([]string, 0, len(sessions))
	for _, s := range sessions {
		status := s.currentStatus()
		line := fmt.Sprintf("registration %s: %s", s.subject, status.State)
		if status.LeaseID != "" {
			line += ", lease " + status.LeaseID
		}
		if status.Reason != "" {
			line += ": " + status.Reason
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func (c *Client) reportViews() []string {
	watched := c.watcher.wanted()
	lines := make([]string, len(watched))
	for i, k := range watched {
		lines[i] = k.view.Load().report()
	}
	slices.Sort(lines)
	return lines
}

func (v *View) report() string {
	text := fmt.Sprintf("view %s: %s", v.selector, v.Intent())
	if !v.received {
		return text
	}
	noun := "instances"
	if len(v.instances) == 1 {
		noun = "instance"
	}
	return fmt.Sprintf("%s, %d %s, %s, %s old, from %s, epoch %d, revision %d",
		text, len(v.instances), noun, v.Freshness(), seconds(v.Age()), v.source, v.Epoch(), v.Revision())
}
