package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

const (
	sdkDelay      = 100 * time.Millisecond
	sdkBatch      = 128
	sdkBatchBytes = 64 << 10
)

// RunSDK sends events through the Go SDK to the load's first target until ctx ends.
// Then the client has until end ends to deliver what it holds; what it drops without
// having sent it is nowhere, and in no promise.
func (l *Ledger) RunSDK(ctx, end context.Context, load Load) error {
	client, err := flywheel.Dial(load.Targets[0], flywheel.WithTenant(load.Tenant), flywheel.WithInsecure(),
		flywheel.WithContent(flywheel.ConsentTraining), flywheel.WithBatch(sdkBatch, sdkBatchBytes, sdkDelay),
		flywheel.WithLogger(slog.New(slog.DiscardHandler)), flywheel.WithDialOptions(l.DialOptions(load.Tenant)...))
	if err != nil {
		return fmt.Errorf("make SDK client: %w", err)
	}
	random := rand.New(rand.NewPCG(load.Seed, load.Client))
	session := client.Session(flywheel.SessionInfo{Client: "ledger-sdk", ClientVersion: "1.0.0", User: "user-sdk", Platform: "linux"})
	pace := time.NewTicker(load.Pace)
	defer pace.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-pace.C:
			interact(session, random)
		}
	}
	session.End("done")
	_ = client.Close(end) // what was not delivered is unknown, which the ledger knows
	return nil
}

// interact records one interaction.
func interact(s *flywheel.Session, random *rand.Rand) {
	s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: "Please go on."})
	s.Edit(flywheel.Edit{Document: "main.go", Version: 1, Text: "x := 1"})
	opportunity := s.Opportunity(flywheel.Dimensions{
		Surface: flywheel.SurfaceInlineCompletion, Model: fmt.Sprint("model-", random.IntN(models)), Language: "go",
	})
	i := opportunity.Suggest(flywheel.Suggestion{Kind: flywheel.KindCompletion, Prompt: "func main() {", Output: "println()", OutputTokens: 3})
	i.Shown(flywheel.Shown{})
	i.Read(time.Second)
	switch random.IntN(5) {
	case 0:
		i.Rejected("")
	case 1:
		i.Ignored()
	case 2:
		i.PartiallyAccepted(4, 1)
	case 3:
		i.AutoAccepted()
	default:
		i.Accepted()
		i.Retained(flywheel.Retention{Delay: 5 * time.Second, RetainedChars: 7})
	}
}
