"""XML from a document that may be hostile."""

from lxml import etree

from server.errors import UnreadableDocument


def xml_of(data: bytes) -> etree._Element:
    """The root. No entity is resolved and nothing is fetched. Raises UnreadableDocument: damaged, or with entities."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableDocument("The file is damaged: a part is no regular XML.") from error
    if root is None:
        raise UnreadableDocument("The file is damaged: a part is empty.")
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise UnreadableDocument("The file declares XML entities, which no regular document does.")
    return root


def name_of(element: etree._Element) -> str:
    """Its tag without the namespace; empty for what is no element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
