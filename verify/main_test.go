package verify_test

import (
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
