package warehouse

import (
	"errors"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// Permanent reports whether [DB.Insert] failed because ClickHouse refused the data
// itself, so that inserting it again cannot help. Every other error, also one that is not
// known, may pass: no data is given up for it.
func Permanent(err error) bool {
	exception, ok := errors.AsType[*ch.Exception](err)
	return ok && refusesData(exception.Code)
}

// refusesData lists ClickHouse's error codes (ErrorCodes.cpp) that are about values.
func refusesData(code proto.Error) bool {
	switch code {
	case 6, // CANNOT_PARSE_TEXT
		26,  // CANNOT_PARSE_QUOTED_STRING
		27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
		32,  // ATTEMPT_TO_READ_AFTER_EOF
		36,  // BAD_ARGUMENTS
		38,  // CANNOT_PARSE_DATE
		41,  // CANNOT_PARSE_DATETIME
		43,  // ILLEGAL_TYPE_OF_ARGUMENT
		53,  // TYPE_MISMATCH
		69,  // ARGUMENT_OUT_OF_BOUND
		70,  // CANNOT_CONVERT_TYPE
		72,  // CANNOT_PARSE_NUMBER
		117, // INCORRECT_DATA
		131, // TOO_LARGE_STRING_SIZE
		321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
		376, // CANNOT_PARSE_UUID
		469, // VIOLATED_CONSTRAINT
		691: // UNKNOWN_ELEMENT_OF_ENUM
		return true
	default:
		return false
	}
}
