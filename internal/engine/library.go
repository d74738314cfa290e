package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Version is the version of the npm package that the engine comes from. It holds
// ClickHouse of the same year and month.
const Version = "26.7.3-stable.1"

const (
	libraryName     = "libchdb.so"
	libraryVariable = "FLYWHEEL_LIBCHDB"
)

// ErrLibraryMissing says that there is no embedded engine on this machine.
var ErrLibraryMissing = errors.New("the embedded ClickHouse engine (" + libraryName + ") is not on this machine: " +
	`run "make engine" to fetch it, set ` + libraryVariable + " to its path, or use a ClickHouse server with --clickhouse-url")

// CachePath is where "make engine" puts the library and where Start looks for it.
func CachePath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(cache, "flywheel", "engine", Version, runtime.GOOS+"-"+runtime.GOARCH, libraryName), nil
}

// findLibrary returns the path of the library.
func findLibrary(given string) (string, error) {
	for _, path := range []string{given, os.Getenv(libraryVariable)} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w (the path given: %w)", ErrLibraryMissing, err)
		}
		return path, nil
	}
	candidates := []string{"/usr/local/lib/" + libraryName, "/usr/lib/" + libraryName}
	if cached, err := CachePath(); err == nil {
		candidates = append([]string{cached}, candidates...)
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w (looked at %s)", ErrLibraryMissing, candidates)
}

// startQueries open the servers and then wait for ever. The native protocol is last: who
// is answered there knows that both ports were free. The engine's own session must be a user without a password, so it is one that may do nothing else.
const startQueries = "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; " +
	"SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS max_block_size = 1"

// Main is the body of the hidden engine command: its arguments are what follows
// "engine" on the command line that [Start] made. It returns when standard input
// ends, which is when the parent closes it or dies, or when the engine fails. The
// process must then exit: tables are as safe as after a kill, since ClickHouse
// makes each part of a table visible in one step.
func Main(args []string) error {
	if len(args) != 3 {
		return errors.New("engine is an internal command: use flywheel up")
	}
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	go func() { ended <- serve(args[0], args[1], args[2]) }()
	return <-ended
}

// serve runs clickhouse-local's main in the library. It returns only on failure.
func serve(library, dir, config string) error {
	runtime.LockOSThread()
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	var setSignalHandlers func(bool)
	var queryCommandLine func(int32, unsafe.Pointer) uintptr
	var resultError func(uintptr) string
	purego.RegisterLibFunc(&setSignalHandlers, handle, "chdb_set_signal_handlers_enabled")
	purego.RegisterLibFunc(&queryCommandLine, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, handle, "chdb_result_error")
	setSignalHandlers(false)
	argv, count := cStrings("clickhouse", "--config-file="+config, "--path="+dir, "--query="+startQueries)
	result := queryCommandLine(count, unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(argv)
	if result == 0 {
		return errors.New("run ClickHouse: it gave no result")
	}
	return fmt.Errorf("run ClickHouse: it ended: %s", resultError(result))
}

// cStrings lays out arguments as C's main takes them.
func cStrings(args ...string) ([]*byte, int32) {
	argv := make([]*byte, len(args)+1)
	for i, arg := range args {
		text := append([]byte(arg), 0)
		argv[i] = &text[0]
	}
	return argv, int32(len(args))
}
