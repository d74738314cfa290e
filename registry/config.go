package registry

import (
	"errors"
	"fmt"
	"time"
)

const (
	maxNameBytes           = 256
	maxNotesBytes          = 4096
	maxDefinitionNameBytes = 128
	// maxLineage is how many models may descend from each other in one line.
	maxLineage = 1000
	// maxLanguages is how many languages an evaluation may tell apart.
	maxLanguages = 1000
	// modelEvaluations is how many evaluations are told with a model.
	modelEvaluations = 10
	// maxDefinitions and maxVersion bound the number of definitions and their numbers.
	maxDefinitions = 1000
	maxVersion     = 1_000_000

	defaultPageSize = 100
	maxPageSize     = 1000

	// maxFilters and maxFilterValues keep a statement to a sensible size.
	maxFilters      = 32
	maxFilterValues = 1000
	// maxPairs is how many pairs of labels, by model, a comparison may have.
	maxPairs = 20_000
)

// Config bounds what a call may cost, and says whom to tell of changes.
type Config struct {
	// QueryTimeout is how long a call may take before it ends with DEADLINE_EXCEEDED.
	QueryTimeout time.Duration
	// ModelsChanged, if set, is called after a model of the tenant was registered or
	// changed, before the call returns.
	ModelsChanged func(tenant string)
}

// DefaultConfig returns the settings of a service unless told otherwise.
func DefaultConfig() Config { return Config{QueryTimeout: 20 * time.Second} }

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.QueryTimeout <= 0 {
		errs = append(errs, fmt.Errorf("query timeout %s: a positive duration is needed", c.QueryTimeout))
	}
	return errors.Join(errs...)
}
