package doctor

import (
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
