"""The domain as data: kinds, topics, agencies, places, routing rules and personal numbers of one country.

Bahrain's pack is bundled and is the default; :meth:`Domain.load` reads another one, which everything accepts.

>>> from tawasul_nlp.domain import Taxonomy, find_places, route
>>> places = find_places("القمامة متراكمة في الرفاع الشرقي مجمع 925")
>>> routing = route("waste_collection", places)
>>> Taxonomy.load().agency(routing.agency_id).name_ar
'بلدية المنطقة الجنوبية'
"""

from tawasul_nlp._yaml import DataError
from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.find import find_places
from tawasul_nlp.domain.places.gazetteer import Gazetteer, Governorate, NamedPlace
from tawasul_nlp.domain.places.levels import Level, Levels
from tawasul_nlp.domain.places.mentions import Place, Places
from tawasul_nlp.domain.routing import AgencyMention, Routing, agency_named, boundaries, find_named_agencies, route
from tawasul_nlp.domain.routing_rules import Boundary
from tawasul_nlp.domain.taxonomy import Agency, Kind, Taxonomy, Topic, UnknownIdError, UrgencyLevel

__all__ = [
    "Agency",
    "AgencyMention",
    "Boundary",
    "DataError",
    "Domain",
    "Gazetteer",
    "Governorate",
    "Kind",
    "Level",
    "Levels",
    "NamedPlace",
    "Place",
    "Places",
    "Routing",
    "Taxonomy",
    "Topic",
    "UnknownIdError",
    "UrgencyLevel",
    "agency_named",
    "boundaries",
    "find_named_agencies",
    "find_places",
    "route",
]
