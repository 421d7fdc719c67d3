/**
 * What counts as a symbol in each language, as tree-sitter queries over the grammars of @vscode/tree-sitter-wasm.
 * A definition is captured under its kind, its name as @name, where the grammar has it the receiver as @container.
 * Functions count at any depth, constants and variables at the top level only: locals are no landmarks.
 */

const ECMASCRIPT = `
  (function_declaration name: (_) @name) @function
  (generator_function_declaration name: (_) @name) @function
  (method_definition name: (_) @name) @method
  (variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (generator_function)]) @function
  (variable_declarator name: (identifier) @name value: (class)) @class
  (pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @method
  (assignment_expression left: (member_expression property: (_) @name)
    right: [(arrow_function) (function_expression) (class)]) @function
  (program (lexical_declaration (variable_declarator name: (identifier) @name) @constant))
  (program (variable_declaration (variable_declarator name: (identifier) @name) @variable))
  (program (export_statement (lexical_declaration (variable_declarator name: (identifier) @name) @constant)))
`;

const JAVASCRIPT = `
  ${ECMASCRIPT}
  (class_declaration name: (_) @name) @class
  (field_definition property: (_) @name value: [(arrow_function) (function_expression)]) @method
`;

const TYPESCRIPT = `
  ${ECMASCRIPT}
  (class_declaration name: (_) @name) @class
  (abstract_class_declaration name: (_) @name) @class
  (interface_declaration name: (_) @name) @interface
  (type_alias_declaration name: (_) @name) @type
  (enum_declaration name: (_) @name) @enum
  (internal_module name: (_) @name) @namespace
  (module name: (_) @name) @namespace
  (function_signature name: (_) @name) @function
  (method_signature name: (_) @name) @method
  (abstract_method_signature name: (_) @name) @method
  (public_field_definition name: (_) @name value: [(arrow_function) (function_expression)]) @method
`;

export const QUERIES: Record<string, string> = {
  bash: `
    (function_definition name: (_) @name) @function
    (program (variable_assignment name: (_) @name) @variable)
    (program (declaration_command (variable_assignment name: (_) @name)) @variable)
  `,
  "c-sharp": `
    (namespace_declaration name: (_) @name) @namespace
    (class_declaration name: (_) @name) @class
    (struct_declaration name: (_) @name) @struct
    (record_declaration name: (_) @name) @class
    (interface_declaration name: (_) @name) @interface
    (enum_declaration name: (_) @name) @enum
    (delegate_declaration name: (_) @name) @type
    (method_declaration name: (_) @name) @method
    (constructor_declaration name: (_) @name) @method
    (local_function_statement name: (_) @name) @function
    (property_declaration name: (_) @name) @property
    (field_declaration (variable_declaration (variable_declarator name: (_) @name))) @field
    (event_field_declaration (variable_declaration (variable_declarator name: (_) @name))) @field
  `,
  cpp: `
    (namespace_definition name: (_) @name) @namespace
    (class_specifier name: (_) @name body: (_)) @class
    (struct_specifier name: (_) @name body: (_)) @struct
    (union_specifier name: (_) @name body: (_)) @union
    (enum_specifier name: (_) @name body: (_)) @enum
    (function_definition declarator: (function_declarator declarator: (_) @name)) @function
    (function_definition declarator: (_ (function_declarator declarator: (_) @name))) @function
    (function_definition declarator: (_ (_ (function_declarator declarator: (_) @name)))) @function
    (declaration declarator: (function_declarator declarator: (identifier) @name)) @function
    (declaration declarator: (pointer_declarator (function_declarator declarator: (identifier) @name))) @function
    (field_declaration declarator: (function_declarator declarator: (_) @name)) @method
    (alias_declaration name: (_) @name) @type
    (type_definition declarator: (type_identifier) @name) @type
    (preproc_def name: (_) @name) @macro
    (preproc_function_def name: (_) @name) @macro
    (translation_unit (declaration declarator: (init_declarator declarator: (identifier) @name)) @constant)
    (declaration_list (declaration declarator: (init_declarator declarator: (identifier) @name)) @constant)
  `,
  css: `
    (rule_set (selectors) @name) @rule
    (keyframes_statement (keyframes_name) @name) @rule
  `,
  go: `
    (function_declaration name: (_) @name) @function
    (method_declaration
      receiver: (parameter_list (parameter_declaration type: (_) @container)) name: (_) @name) @method
    (type_declaration (type_spec name: (_) @name type: (struct_type)) @struct)
    (type_declaration (type_spec name: (_) @name type: (interface_type)) @interface)
    (type_declaration (type_spec name: (_) @name) @type)
    (type_declaration (type_alias name: (_) @name) @type)
    (source_file (const_declaration (const_spec name: (_) @name) @constant))
    (source_file (var_declaration (var_spec name: (_) @name) @variable))
    (source_file (var_declaration (var_spec_list (var_spec name: (_) @name) @variable)))
    (method_elem name: (_) @name) @method
  `,
  ini: "(section (section_name (text) @name)) @section",
  java: `
    (class_declaration name: (_) @name) @class
    (record_declaration name: (_) @name) @class
    (interface_declaration name: (_) @name) @interface
    (annotation_type_declaration name: (_) @name) @interface
    (enum_declaration name: (_) @name) @enum
    (method_declaration name: (_) @name) @method
    (constructor_declaration name: (_) @name) @method
    (field_declaration declarator: (variable_declarator name: (_) @name)) @field
  `,
  javascript: JAVASCRIPT,
  php: `
    (namespace_definition name: (_) @name body: (_)) @namespace
    (class_declaration name: (_) @name) @class
    (interface_declaration name: (_) @name) @interface
    (trait_declaration name: (_) @name) @trait
    (enum_declaration name: (_) @name) @enum
    (function_definition name: (_) @name) @function
    (method_declaration name: (_) @name) @method
    (const_declaration (const_element (name) @name)) @constant
    (property_declaration (property_element name: (_) @name)) @field
  `,
  powershell: `
    (function_statement (function_name) @name) @function
    (class_statement . (simple_name) @name) @class
    (class_method_definition (simple_name) @name) @method
    (enum_statement . (simple_name) @name) @enum
  `,
  python: `
    (class_definition name: (_) @name) @class
    (function_definition name: (_) @name) @function
    (type_alias_statement left: (_) @name) @type
    (module (expression_statement (assignment left: (identifier) @name) @constant))
  `,
  regex: "(named_capturing_group (group_name) @name) @group",
  ruby: `
    (module name: (_) @name) @module
    (class name: (_) @name) @class
    (method name: (_) @name) @method
    (singleton_method name: (_) @name) @method
    (assignment left: (constant) @name) @constant
  `,
  rust: `
    (mod_item name: (_) @name body: (_)) @module
    (struct_item name: (_) @name) @struct
    (union_item name: (_) @name) @union
    (enum_item name: (_) @name) @enum
    (trait_item name: (_) @name) @trait
    (impl_item type: (type_identifier) @name) @impl
    (impl_item type: (generic_type type: (_) @name)) @impl
    (impl_item type: (_) @name) @impl
    (function_item name: (_) @name) @function
    (function_signature_item name: (_) @name) @function
    (type_item name: (_) @name) @type
    (macro_definition name: (_) @name) @macro
    (source_file (const_item name: (_) @name) @constant)
    (declaration_list (const_item name: (_) @name) @constant)
    (source_file (static_item name: (_) @name) @constant)
  `,
  tsx: TYPESCRIPT,
  typescript: TYPESCRIPT,
};
