package doctor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Examine returns what all checks say of the facts.
func Examine(f Facts) Report {
	var r Report
	for _, s := range f.Services {
		r.Findings = append(r.Findings, service(s))
	}
	if f.Ready != nil {
		r.Findings = append(r.Findings, ready(*f.Ready))
	}
	if f.Log != nil {
		r.Findings = append(r.Findings, f.Log.findings()...)
	}
	if f.Store != nil {
		r.Findings = append(r.Findings, f.Store.findings()...)
	}
	if f.Machine != nil {
		r.Findings = append(r.Findings, f.Machine.findings()...)
	}
	r.Capacity = capacity(f)
	return r
}

func service(s Service) Finding {
	f := Finding{Check: "reachable", Where: s.Name, Level: OK, Says: "serves at " + s.Address}
	if s.Err != "" {
		f.Level, f.Says = Wrong, fmt.Sprintf("does not serve at %s: %s", s.Address, s.Err)
		f.Do = "start it, or give its address; its own log lines say why it stopped"
	}
	return f
}

// ready is what a process says of its own connections, which may be broken where those of
// the doctor are not.
func ready(s Service) Finding {
	f := Finding{Check: "ready", Where: s.Name, Level: OK, Says: "reaches what it needs, says " + s.Address}
	if s.Err != "" {
		f.Level, f.Says = Wrong, fmt.Sprintf("%s: %s", s.Address, s.Err)
		f.Do = "bring back what is not ready, or the network between: the rest goes on by itself"
	}
	return f
}

// grade is Wrong from one figure on, Warning from a smaller one on, else OK.
func grade[N cmp.Ordered](have, warning, wrong N) Level {
	switch {
	case have >= wrong:
		return Wrong
	case have >= warning:
		return Warning
	default:
		return OK
	}
}

// advise adds what to do to a finding that is not well.
func (f Finding) advise(do string) Finding {
	if f.Level != OK {
		f.Do = do
	}
	return f
}

const (
	clockWarning = 2 * time.Second
	// clockWrong is half of the ten minutes that settlers allow for clocks.
	clockWrong = 5 * time.Minute
)

// clock compares a server's clock with this machine's. What the round trip explains is
// no difference.
func clock(where string, theirs, ours time.Time, roundTrip time.Duration) Finding {
	off := theirs.Sub(ours)
	beyond := max(off.Abs()-roundTrip, 0)
	f := Finding{Check: "clock", Where: where, Level: grade(beyond, clockWarning, clockWrong)}
	if beyond < clockWarning {
		f.Says = "agrees with this machine's"
		return f
	}
	f.Says = fmt.Sprintf("is %v off this machine's", off.Round(time.Millisecond))
	return f.advise("run a time service (chrony, systemd-timesyncd) on both: ages, lags and the order of settlements are wrong by that much")
}

const (
	diskWarning = 0.85
	diskWrong   = 0.95
	// diskAlways is free space that is enough however full the disk is.
	diskAlways = 100 << 30
)

func space(where string, free, total uint64) Finding {
	used := 1 - ratio(float64(free), float64(total))
	f := Finding{Check: "disk", Where: where, Level: grade(used, diskWarning, diskWrong)}
	if free >= diskAlways {
		f.Level = OK
	}
	f.Says = fmt.Sprintf("%s free of %s", sizeText(free), sizeText(total))
	return f.advise("free or add space, or keep rows for less time (--keep-*): a full disk refuses events until there is room")
}

func sizeText(n uint64) string { return humanize.IBytes(n) }

// ratio is 0 where it is not defined.
func ratio(a, b float64) float64 {
	if b == 0 || math.IsNaN(a/b) {
		return 0
	}
	return a / b
}

func percent(r float64) string { return fmt.Sprintf("%.0f %%", 100*r) }

// list joins names, and says how many it leaves out.
func list(names []string) string {
	const most = 5
	names = slices.Sorted(slices.Values(names))
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
