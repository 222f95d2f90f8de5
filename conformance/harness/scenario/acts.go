package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// act says how a statement may be written.
type act struct {
	// numbered says that a number may follow, as in "server 2 kill".
	numbered bool
	// subs are the second words, each with the least and the most arguments that follow;
	// nil if there is none.
	subs map[string][2]int
	// least and most arguments of an act without second word.
	least, most int
	// options that are known; nil allows any.
	options []string
}

// acts are all statements that the harness itself carries out.
var acts = map[string]*act{
	"server": {numbered: true, subs: map[string][2]int{
		"start": {0, 8}, "stop": {0, 0}, "kill": {0, 0}, "restart": {0, 0}, "pause": {0, 0}, "continue": {0, 0},
		"lose-history": {0, 0}, "save-history": {0, 0}, "restore-history": {0, 0},
	}, options: []string{"history"}},
	"proxy": {numbered: true, subs: map[string][2]int{
		"start": {0, 2}, "clear": {0, 0},
		"delay": {1, 1}, "reset": {0, 0}, "refuse": {0, 0}, "accept": {0, 0}, "half-open": {0, 0},
		"blackhole": {0, 1}, "slow": {1, 1}, "truncate": {1, 1}, "drop": {1, 1}, "connections": {1, 1},
		"error": {2, 2}, "lose": {1, 2}, "hold": {1, 1}, "release": {1, 1}, "end": {1, 2}, "frame": {1, 2}, "goaway": {0, 0},
		"calls": {2, 2}, "swallow": {1, 1}, "mute": {1, 1}, "token": {1, 1}, "unconfirmed": {0, 1},
	}, options: []string{"reason", "retry", "times", "kind", "after", "server"}},
	"registry": {subs: map[string][2]int{
		"register": {1, 1}, "deregister": {1, 1}, "expire": {1, 1}, "break": {1, 1}, "update": {1, 1}, "drain": {1, 1}, "drained": {1, 1},
		"sees": {1, 1}, "lacks": {1, 1}, "count": {2, 2},
	}},
	"backend": {subs: map[string][2]int{"start": {1, 1}, "kill": {1, 1}, "stop": {1, 1}, "connections": {2, 2}}},
	"testee":  {subs: map[string][2]int{"stop": {0, 0}, "continue": {0, 0}, "restart": {0, 0}, "kill": {0, 0}, "env": {0, 0}, "says": {1, 1}}},
	"file": {subs: map[string][2]int{
		"corrupt": {1, 1}, "truncate": {1, 1}, "remove": {1, 1}, "write": {2, 2}, "exists": {1, 1}, "missing": {1, 1}, "shift-written": {2, 2},
	}},
	"disk":  {subs: map[string][2]int{"full": {1, 1}}},
	"tls":   {subs: map[string][2]int{"make": {0, 0}, "renew": {0, 0}, "strangers": {0, 0}}},
	"pause": {least: 1, most: 1, options: []string{}},
}

// check tells what is wrong with the words of a statement.
func (a *act) check(verb string, args []string, options map[string]string) error {
	if a.numbered && len(args) > 0 && len(args[0]) == 1 && args[0] >= "1" && args[0] <= "9" {
		args = args[1:]
	}
	least, most := a.least, a.most
	if a.subs != nil {
		if len(args) == 0 {
			return fmt.Errorf("%s what? one of %s", verb, strings.Join(a.known(), ", "))
		}
		bounds, known := a.subs[args[0]]
		if !known {
			return fmt.Errorf("%s %s: unknown; one of %s", verb, args[0], strings.Join(a.known(), ", "))
		}
		verb += " " + args[0]
		args = args[1:]
		least, most = bounds[0], bounds[1]
	}
	if len(args) < least || len(args) > most {
		return fmt.Errorf("%s takes %d to %d arguments, not %d", verb, least, most, len(args))
	}
	for key := range options {
		if a.options != nil && !slices.Contains(a.options, key) {
			return fmt.Errorf("%s: unknown option %s; known: %s", verb, key, strings.Join(a.options, ", "))
		}
	}
	return nil
}

func (a *act) known() []string {
	var list []string
	for sub := range a.subs {
		list = append(list, sub)
	}
	slices.Sort(list)
	return list
}
