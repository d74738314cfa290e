package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is every setting of the program. Each can be given as a flag, as an
// environment variable (FLYWHEEL_ and the flag's name in capitals) or in the
// YAML file named by --config, in this order of precedence.
type cli struct {
	Config    string `short:"c" type:"existingfile" placeholder:"FILE" help:"YAML file with settings: the long flag names as keys, for example 'data-dir: /var/lib/flywheel'."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Least severe log lines to write (${enum})."`
	LogFormat string `enum:"text,json" default:"text" help:"Form of log lines on standard error (${enum})."`

	Up          upCmd          `cmd:"" help:"Run everything on this machine: log, collector, processor, feedback and, unless --clickhouse-url is given, ClickHouse."`
	Collector   collectorCmd   `cmd:"" help:"Run the collector: events in over gRPC, into the log."`
	Processor   processorCmd   `cmd:"" help:"Run the processor and the settler: from the log into ClickHouse, and rates from there."`
	Feedback    feedbackCmd    `cmd:"" help:"Run the feedback service, rates out over gRPC, and the registry of models and definitions."`
	Log         logCmd         `cmd:"" help:"Run the event log alone: a NATS JetStream server that syncs before it acknowledges."`
	Replay      replayCmd      `cmd:"" help:"Retype real source code with small language models as suggesting agents, and send what happens."`
	ReplayLog   replayLogCmd   `cmd:"" help:"Process a part of the event log again, beside what runs: rebuilds tables, counts nothing twice."`
	Verify      verifyCmd      `cmd:"" help:"Count everything again from the raw rows and compare it with rates, users' rates, labels and rewards."`
	Rates       ratesCmd       `cmd:"" help:"Show acceptance, hide and other rates."`
	Model       modelCmd       `cmd:"" help:"Register models: where they come from and how far they are."`
	Export      exportCmd      `cmd:"" help:"Make a training set and write it to a folder or bucket, as files that trainers load as they are."`
	TrainingSet trainingSetCmd `cmd:"" help:"List, show, cancel and delete training sets."`
	Definition  definitionCmd  `cmd:"" help:"List, add and compare the definitions of labels and rewards."`
	DeadLetter  deadLetterCmd  `cmd:"" name:"deadletter" help:"List, show, replay and delete events that could not be stored."`
	Doctor      doctorCmd      `cmd:"" help:"Examine a deployment: what is wrong, where, what to do, and which limit comes next."`
	Version     versionCmd     `cmd:"" help:"Show the version."`
	Predict     predictCmd     `cmd:"" help:"Write what one of the replay's models predicts for the rows of a training set."`
	Compare     compareCmd     `cmd:"" help:"Compare a candidate with a baseline, by the users that were dealt to each."`
	Eval        evalCmd        `cmd:"" help:"Compare a model's predictions with the held-out part of a training set, and store how good they are."`
}

// command is what every subcommand implements.
type command interface {
	Run(ctx context.Context, env environment) error
}

// environment is what a command may use of the world outside.
type environment struct {
	stdout, stderr io.Writer
	log            *slog.Logger
}

// app is a parsed command line.
type app struct {
	command command
	env     environment
}

const description = `Flywheel collects what AI agents suggest and what people do with it.

Agents send events over gRPC; a NATS JetStream log keeps them; processors turn
them into signals in ClickHouse; the feedback service reports acceptance and hide
rates with their counts and intervals.

Start with:

  flywheel up                       # everything, in ./flywheel-data
  flywheel replay                   # in another terminal: real input, no model service needed
  flywheel rates --group-by model   # what came of it

Every flag can also be set as FLYWHEEL_<NAME> in the environment or as a key of
the --config file.`

// parse reads the settings of args, environment and file. It returns nil without
// an error when the arguments only asked for help, which has then been written.
func parse(args []string, stdout, stderr io.Writer) (*app, error) {
	var c cli
	helped := false
	parser, err := kong.New(&c,
		kong.Name("flywheel"),
		kong.Description(description),
		kong.DefaultEnvars(envPrefix),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{
			"dataDir": defaultDataDir, "listen": defaultListen, "feedbackListen": defaultFeedbackListen, "debugListen": defaultDebugListen,
			"dimensions": strings.Join(dimensionNames(), ", "), "stages": strings.Join(stageNames(), ", "),
			"trainingFormats": strings.Join(trainingFormatNames(), ", "), "outcomes": strings.Join(outcomeNames(), ", "),
		},
	)
	if err != nil {
		return nil, fmt.Errorf("build command line: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if err := checkEnvironment(parser.Model, os.Environ()); err != nil {
		return nil, usageError{err}
	}
	if path := configPath(args); path != "" {
		file, err := loadFile(path)
		if err != nil {
			return nil, usageError{err}
		}
		if err := kong.Resolvers(file).Apply(parser); err != nil {
			return nil, fmt.Errorf("use settings of %s: %w", path, err)
		}
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil, nil
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("%w (see flywheel --help)", err)}
	}
	selected, ok := reflect.TypeAssert[command](parsed.Selected().Target.Addr())
	if !ok {
		return nil, fmt.Errorf("run %q: not a command", parsed.Command())
	}
	env := environment{stdout: stdout, stderr: stderr, log: newLogger(stderr, c.LogLevel, c.LogFormat)}
	return &app{command: selected, env: env}, nil
}

// run runs the selected command.
func (a *app) run(ctx context.Context) error { return a.command.Run(ctx, a.env) }

// configPath finds the settings file before the other settings are parsed.
func configPath(args []string) string {
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case name != "--config" && name != "-c":
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return os.Getenv(envPrefix + "_CONFIG")
}

func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
