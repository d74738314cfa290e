package feedback

import flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"

// column returns the column of rates that holds a dimension. This closed table is
// the only source of column names in queries.
func column(d flywheelv1.Dimension) (name string, known bool) {
	switch d {
	case flywheelv1.Dimension_DIMENSION_SURFACE:
		name = "surface"
	case flywheelv1.Dimension_DIMENSION_MODEL:
		name = "model"
	case flywheelv1.Dimension_DIMENSION_VARIANT:
		name = "variant"
	case flywheelv1.Dimension_DIMENSION_EXPERIMENT:
		name = "experiment"
	case flywheelv1.Dimension_DIMENSION_LANGUAGE:
		name = "language"
	case flywheelv1.Dimension_DIMENSION_CLIENT:
		name = "client"
	case flywheelv1.Dimension_DIMENSION_CLIENT_VERSION:
		name = "client_version"
	case flywheelv1.Dimension_DIMENSION_CLIENT_SETTING:
		name = "client_setting"
	case flywheelv1.Dimension_DIMENSION_VIEW_KIND:
		name = "view_kind"
	case flywheelv1.Dimension_DIMENSION_SOURCE:
		name = "source"
	case flywheelv1.Dimension_DIMENSION_TRIGGER:
		name = "trigger"
	case flywheelv1.Dimension_DIMENSION_UNSPECIFIED:
	}
	return name, name != ""
}
