package main

import (
	"fmt"
	"time"
)

// seconds writes how long something took: "38ms", "1.9s", "41s", "3m0s".
func seconds(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", max(d, 0).Milliseconds())
	case d < 10*time.Second:
		return d.Truncate(100 * time.Millisecond).String()
	default:
		return d.Truncate(time.Second).String()
	}
}

// age writes how old something is in its two largest units: "41s", "3m20s",
// "5h2m", "12d4h".
func age(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	seconds, minutes, hours := int(d/time.Second), int(d/time.Minute), int(d/time.Hour)
	switch {
	case minutes == 0:
		return fmt.Sprintf("%ds", seconds)
	case hours == 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds%60)
	case hours < 24:
		return fmt.Sprintf("%dh%dm", hours, minutes%60)
	default:
		return fmt.Sprintf("%dd%dh", hours/24, hours%24)
	}
}
