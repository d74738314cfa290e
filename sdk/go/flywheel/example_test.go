package flywheel_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// exampleCollector stands for the collector in the examples, which in life is at an
// address such as "127.0.0.1:7410" and needs no options.
func exampleCollector() (target string, dial flywheel.Option, stop func()) {
	f := &fake{raw: map[*flywheelv1.CollectStreamRequest][]byte{}}
	f.start()
	return "passthrough:///example", flywheel.WithDialOptions(
		grpc.WithContextDialer(f.dial), grpc.WithTransportCredentials(insecure.NewCredentials()),
	), f.stop
}

// A completion, from the request to what is left of it.
func Example() {
	target, dial, stop := exampleCollector()
	defer stop()
	ctx := context.Background()

	// Once per process. The user agreed that text may be used for training.
	client, err := flywheel.Dial(target, dial, flywheel.WithContent(flywheel.ConsentTraining))
	if err != nil {
		fmt.Println(err)
		return
	}

	// Once per editor window.
	session := client.Session(flywheel.SessionInfo{
		Client: "acme-editor", ClientVersion: "1.4.2", User: "u-17", Repository: "r-4", Platform: "linux/amd64",
	})

	// The user pauses: the model is asked.
	opportunity := session.Opportunity(flywheel.Dimensions{
		Surface: flywheel.SurfaceInlineCompletion, Model: "tab-7b@2026-11-20", Language: "go",
		Source: flywheel.SourceNetwork, Trigger: flywheel.TriggerTyping, ViewKind: flywheel.ViewGhostText,
	})
	completion := opportunity.Suggest(flywheel.Suggestion{
		Kind: flywheel.KindCompletion, Prompt: "func main() {\n\t", Output: "fmt.Println(\"hello\")", OutputTokens: 6,
	})
	completion.Shown(flywheel.Shown{})

	// Tab.
	completion.Accepted()

	// Five seconds later: what stands there now?
	accepted, now := "fmt.Println(\"hello\")", "fmt.Println(\"hello, world\")"
	completion.Retained(flywheel.Retention{
		Delay: 5 * time.Second, RetainedChars: flywheel.RetainedChars(accepted, now),
		FourGram: new(float32(flywheel.FourGramSurvival(accepted, now))),
	})
	session.End("window closed")

	if err := client.Close(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(client.Stats().Accepted, "events are durable")
	// Output: 7 events are durable
}

// Close delivers what is queued, within a time that the agent can spare.
func ExampleClient_Close() {
	target, dial, stop := exampleCollector()
	defer stop()
	client, err := flywheel.Dial(target, dial)
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Session(flywheel.SessionInfo{Client: "acme-cli"}).End("done")

	// At a point where nothing may get lost, for example before the machine sleeps.
	if err := client.Flush(context.Background()); err != nil {
		fmt.Println(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := client.Close(ctx); err != nil {
		fmt.Println(err) // says how many events were lost
	}
	stats := client.Stats()
	fmt.Println(stats.Accepted, "accepted,", stats.Rejected, "rejected,", stats.Dropped, "dropped")
	// Output: 2 accepted, 0 rejected, 0 dropped
}

// Feedback often comes later, in another process: the ids are all that is needed.
func ExampleClient_Resume() {
	target, dial, stop := exampleCollector()
	defer stop()
	client, err := flywheel.Dial(target, dial, flywheel.WithContent(flywheel.ConsentTraining))
	if err != nil {
		fmt.Println(err)
		return
	}
	session := client.Session(flywheel.SessionInfo{Client: "acme-chat"})
	opportunity := session.Opportunity(flywheel.Dimensions{Surface: flywheel.SurfaceChat, Model: "chat-70b@9"})
	answer := opportunity.Suggest(flywheel.Suggestion{Kind: flywheel.KindAnswer, Output: "Use errors.Is."})
	answer.Shown(flywheel.Shown{})
	stored := [3]string{session.ID().String(), opportunity.ID().String(), answer.ID().String()}

	// The next day.
	var ids [3]flywheel.ID
	for i, text := range stored {
		if ids[i], err = flywheel.ParseID(text); err != nil {
			fmt.Println(err)
			return
		}
	}
	client.Resume(ids[0], ids[1], ids[2]).Feedback(flywheel.Feedback{
		Thumb: flywheel.ThumbDown, Rating: new(uint32(20)), Author: "user", Correction: "Use errors.AsType.",
	})

	if err := client.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(client.Stats().Accepted, "events are durable")
	// Output: 5 events are durable
}

// A rejected suggestion, and what the user wrote instead: a preference pair.
func ExampleInteraction_Alternative() {
	target, dial, stop := exampleCollector()
	defer stop()
	client, err := flywheel.Dial(target, dial, flywheel.WithContent(flywheel.ConsentTraining))
	if err != nil {
		fmt.Println(err)
		return
	}
	session := client.Session(flywheel.SessionInfo{Client: "acme-editor"})
	opportunity := session.Opportunity(flywheel.Dimensions{Surface: flywheel.SurfaceNextEdit, Model: "nes-3b@4"})
	edit := opportunity.Suggest(flywheel.Suggestion{Kind: flywheel.KindEdit, Output: "return nil"})
	edit.Shown(flywheel.Shown{ViewKind: flywheel.ViewInlineDiff})
	edit.Rejected("escape")

	// Once the line has settled.
	edit.Alternative("return fmt.Errorf(\"open: %w\", err)")

	if err := client.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(client.Stats().Accepted, "events are durable")
	// Output: 6 events are durable
}

func ExampleFourGramSurvival() {
	fmt.Printf("%.2f\n", flywheel.FourGramSurvival("return nil, err", "return nil, fmt.Errorf(\"read: %w\", err)"))
	fmt.Println(flywheel.RetainedChars("return nil, err", "return nil, fmt.Errorf(\"read: %w\", err)"))
	// Output:
	// 0.46
	// 15
}
